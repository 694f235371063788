"""The settings page, for an administrator who reads Arabic; and that every sentence of the plugin is there in Arabic."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.deliveries import new_secret
from tests.service import Service, until
from tests.wordpress.conftest import WordPress, logged_in

PLUGIN = (Path(__file__).parents[2] / "deploy/wordpress/moderation.php").read_text()
PAGE = "/wp-admin/options-general.php?page=moderation_receiver"


def save(page: Page) -> None:
    with page.expect_navigation():
        page.locator("#submit").click()


def test_an_administrator_sets_it_up_in_arabic(service: Service, wordpress: WordPress, visit: Visit) -> None:
    page = logged_in(wordpress, visit, "admin")
    page.goto(wordpress.origin + PAGE)
    assert page.locator("html").get_attribute("dir") == "rtl"
    expect(page.locator("h1")).to_have_text("مراجعة التعليقات")
    expect(page.get_by_text("تذهب التعليقات إلى الخدمة، والخدمة تستجيب.")).to_be_visible()
    assert wordpress.secret not in page.content()
    assert page.locator("#moderation-service").input_value() == service.base
    assert page.locator("#moderation-service").evaluate("e => getComputedStyle(e).direction") == "ltr"

    new = new_secret()
    page.locator("#moderation-secret").fill(new)
    save(page)
    assert wordpress.php("return get_option( 'moderation_receiver' )['secrets'];") == [new, wordpress.secret]
    assert new not in page.content()
    page.locator("input[type=checkbox][name*=forget]").first.check()
    page.locator("#moderation-secret").fill("not a secret")
    page.locator("#moderation-site").fill("لا")
    save(page)
    expect(page.locator(".notice-error, .settings-error")).to_have_count(2)
    kept = wordpress.php("return get_option( 'moderation_receiver' );")
    assert (kept["secrets"], kept["site"], kept["service"]) == ([wordpress.secret], wordpress.site, service.base)


def test_the_page_tells_of_the_last_delivery_and_refusal(service: Service, wordpress: WordPress, visit: Visit) -> None:
    (endpoint,) = service.get(f"/api/v1/sites/{wordpress.site}/endpoints", "test-admin-token").json["items"]
    assert service.send("POST", f"/api/v1/sites/{wordpress.site}/endpoints/{endpoint['id']}/ping").status == 202
    until(
        "the ping", lambda: wordpress.php("return get_option( 'moderation_receiver_delivery' )['type'] ?? '';") == "endpoint.ping"
    )  # fmt: skip
    wordpress.php("delete_option( 'moderation_receiver_refusal' ); return 1;")
    assert wordpress.deliver({"type": "x", "data": {}}, secret=new_secret()).status == 401
    page = logged_in(wordpress, visit, "admin")
    page.goto(wordpress.origin + PAGE)
    expect(page.locator("#moderation-last")).to_contain_text("endpoint.ping → 200")
    expect(page.locator("#moderation-refusal")).to_contain_text("التوقيع خاطئ")


def test_others_may_not_see_or_change_it(wordpress: WordPress, visit: Visit) -> None:
    page = logged_in(wordpress, visit, "writer")
    answer = page.goto(wordpress.origin + PAGE)
    assert answer is not None
    assert answer.status == 403
    kept = wordpress.php("return get_option( 'moderation_receiver' );")
    forged = page.request.post(
        wordpress.origin + "/wp-admin/options.php",
        form={
            "option_page": "moderation_receiver",
            "action": "update",
            "moderation_receiver[service]": "https://evil.example",
        },
    )
    assert forged.status == 403
    assert wordpress.php("return get_option( 'moderation_receiver' );") == kept


def test_a_first_save_keeps_the_secret(wordpress: WordPress) -> None:
    # WordPress cleans a new option twice, the second time with the first one's answer
    secret = new_secret()
    kept = wordpress.php(
        "do_action( 'admin_init' ); $old = get_option( 'moderation_receiver' ); delete_option( 'moderation_receiver' );"
        f" update_option( 'moderation_receiver', array( 'service' => 'https://c.example/', 'site' => 'a_b', 'secret' => '{secret}' ) );"
        " $new = get_option( 'moderation_receiver' ); update_option( 'moderation_receiver', $old ); return array( $old, $new, get_option( 'moderation_receiver' ) );"
    )
    assert kept[1] == {"service": "https://c.example", "site": "a_b", "secrets": [secret], "imported": 0}
    assert kept[2] == kept[0] | {"imported": kept[2]["imported"]}


def test_uninstalling_leaves_comments_and_nothing_else(wordpress: WordPress) -> None:
    left = wordpress.php(
        "global $wpdb; $kept = get_option( 'moderation_receiver' ); $rows = $wpdb->get_results( 'SELECT * FROM ' . \\Moderation\\Receiver\\table(), ARRAY_A );"
        " \\Moderation\\Receiver\\uninstall(); $left = array( $wpdb->get_col( \"SELECT option_name FROM $wpdb->options WHERE option_name LIKE 'moderation_receiver%'\" ),"
        ' $wpdb->get_var( "SHOW TABLES LIKE \'" . \\Moderation\\Receiver\\table() . "\'" ) );'
        " \\Moderation\\Receiver\\ensure_table(); foreach ( $rows as $row ) { $wpdb->insert( \\Moderation\\Receiver\\table(), $row ); } update_option( 'moderation_receiver', $kept );"
        " return $left;"
    )
    assert left == [[], None]


def test_every_sentence_is_there_in_arabic() -> None:
    code, _, table = PLUGIN.partition("const ARABIC")
    said = {
        text.replace("\\'", "'")
        for text in re.findall(r"_(?:_|e)\(\s*'((?:[^'\\]|\\.)*)', 'moderation-receiver'", code)
    }
    translated = {text.replace("\\'", "'") for text in re.findall(r"^\t'((?:[^'\\]|\\.)*)'\s*=>", table, re.MULTILINE)}
    assert len(said) > 30
    assert said == translated
