"""Words are longer in some languages than in others; the desk holds them all."""

import pytest

from tests.browser.conftest import Visit, fits, open_desk
from tests.service import Service

LANGUAGES = ["ar", "de", "en", "es", "fa", "fr", "he", "tr"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sections_of_the_desk_stand_in_one_row(demo: Service, visit: Visit, language: str) -> None:
    page = visit(demo.base + "/demo", locale=language)
    open_desk(page)
    for width in (1280, 800, 390):
        page.set_viewport_size({"width": width, "height": 844})
        tops = page.locator("header nav li").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
        assert len(tops) > 5
        assert len(set(tops)) == 1, width
        assert fits(page), width
