"""Tables are Markdown."""

from tfnas.reports.tables import markdown, notes


def test_columns_are_aligned_and_text_is_kept():
    table = markdown(["operator", "nodes", "share"], [["conv", "1,234", "0.50"], ["007", "2", "12.25 %"]])
    head, rule, *rows = table.splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["operator", "nodes", "share"]
    assert [(cell[0], cell[-1]) for cell in rule.strip("|").split("|")] == [(":", "-"), ("-", ":"), ("-", ":")]
    cells = [row.strip("|").split("|") for row in rows]
    assert [[cell.strip() for cell in row] for row in cells] == [["conv", "1,234", "0.50"], ["007", "2", "12.25 %"]]
    assert all(first.startswith(" " + first.strip()) for first, *_ in cells)
    assert all(cell.endswith(cell.strip() + " ") for _, *rest in cells for cell in rest)
    assert len({len(line) for line in table.splitlines()}) == 1


def test_a_bar_in_a_cell_does_not_end_the_column():
    table = markdown(["a|b", "n"], [["|none~0|", "1"], ["plain", "2"]])
    head, rule, first, second = table.splitlines()
    assert rule.count("|") == second.count("|") == 3
    assert head.startswith("| a\\|b ")
    assert first.startswith("| \\|none~0\\| ")
    assert {len(line) for line in table.splitlines()} == {len(head)}


def test_a_table_without_rows_has_its_head():
    assert markdown(["family", "models"], []).count("\n") == 1


def test_many_notes_are_cut():
    text = notes([f"line {number}" for number in range(23)])
    assert text.count("note: line") == 20
    assert text.endswith("note: 3 more notes")
