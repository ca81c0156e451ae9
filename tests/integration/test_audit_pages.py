"""Promise: a page of the log stays small however large its entries are, and no entry is lost between pages."""

from tana_testing.mesh import Node

MIB = 1 << 20


def test_large_entries_make_short_pages(mesh):
    nodes = [Node(f"n{i:02}") for i in range(40)]
    for i, node in enumerate(nodes):
        mesh.register(node, before={"note": "x" * (60_000 if i % 8 else 10)}).expect(201)
    page = mesh.get("/audit", {"limit": 1000})
    assert len(page.body) < 6 * MIB and page.expect(200)["nextCursor"] and len(page.json["entries"]) >= MIB // 64_000
    whole = mesh.pages("/audit", "entries", limit=1000)
    assert [e["index"] for e in whole] == list(range(len(nodes) + 1))
    for limit in (1, 7, 18, 19, 40, 41):
        assert mesh.pages("/audit", "entries", limit=limit) == whole
    mesh.verify()


def test_the_last_page_names_no_next_one(mesh):
    for i in range(130):
        mesh.register(Node(f"n{i}")).expect(201)
    for limit in (63, 64, 65, 100, 128, 130):
        page = mesh.get("/audit", {"limit": limit}).expect(200)
        assert [e["index"] for e in page["entries"]] == list(range(limit)) and page["nextCursor"] == str(limit - 1)
    for limit in (131, 132, 1000):
        page = mesh.get("/audit", {"limit": limit}).expect(200)
        assert len(page["entries"]) == 131 and "nextCursor" not in page
