CREATE TABLE threads (id INTEGER PRIMARY KEY, uri VARCHAR(256) UNIQUE, title VARCHAR(256));
CREATE TABLE comments (tid REFERENCES threads(id), id INTEGER PRIMARY KEY, parent INTEGER, created FLOAT NOT NULL, modified FLOAT, mode INTEGER,
  remote_addr VARCHAR, text VARCHAR, author VARCHAR, email VARCHAR, website VARCHAR, likes INTEGER DEFAULT 0, dislikes INTEGER DEFAULT 0,
  voters BLOB NOT NULL, notification INTEGER NOT NULL DEFAULT 0);
INSERT INTO threads VALUES (1, '/water/', 'المياه');
INSERT INTO comments VALUES (1, 1, NULL, 1420070400.25, NULL, 1, '203.0.113.0', 'شكراً *جداً*' || char(10) || char(10) || '> if a < b', 'Tom &amp; ليلى', 'layla@example.net', 'https://layla.example/', 3, 0, x'00', 1);
INSERT INTO comments VALUES (1, 2, 1, 1420070500.0, NULL, 2, '203.0.113.0', '<p>from <b>an</b> importer</p><p>see <https://water.example/></p>', NULL, NULL, NULL, 0, 0, x'00', 0);
INSERT INTO comments VALUES (1, 3, NULL, 1420070600.0, NULL, 4, '203.0.113.0', '', NULL, 'gone@example.net', NULL, 0, 0, x'00', 0);
INSERT INTO comments VALUES (1, 4, 3, 1420070700.0, NULL, 1, '203.0.113.0', 'answer to what is gone', 'Tom', NULL, NULL, 0, 0, x'00', 0);
INSERT INTO comments VALUES (1, 5, NULL, 1420070800.0, NULL, 9, '203.0.113.0', 'odd', 'Tom', NULL, NULL, 0, 0, x'00', 0);
