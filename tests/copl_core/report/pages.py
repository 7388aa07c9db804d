"""A page as a program reads it."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "input", "link"}


class Page(HTMLParser):
    """Rows of tables, texts, tags with their attributes; refuses tags that are not closed in order."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.rows, self.text, self._open = [], [], "", []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" in self._open:
            return
        self.text += data
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data

    def row(self, name):
        """The cells of the first row with this head."""
        return next([cell.strip() for cell in row[1:]] for row in self.rows if row and row[0].strip() == name)

    def attributes(self, tag, key):
        return [attributes[key] for name, attributes in self.tags if name == tag and key in attributes]

    def check_self_contained(self):
        for key in ("src", "href", "srcset", "action", "data", "poster"):
            for _, attributes in self.tags:
                assert attributes.get(key, "data:").startswith("data:")
        assert not {"script", "iframe", "link", "object", "base"} & {name for name, _ in self.tags}
