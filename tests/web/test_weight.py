"""How much a page loads before it works."""

import gzip
import re

from tests.web.conftest import ROOT

WEB = ROOT / "src" / "llmlora" / "web"
MOST = 250 * 1024
SCRIPT = re.compile(r'<script[^>]*src="/([^"]+)"([^>]*)>')


def test_no_page_loads_more_than_250_kb_of_script(built):
    for page in WEB.rglob("*.html"):
        found = {src for src, rest in SCRIPT.findall(page.read_text("utf-8")) if "noModule" not in rest}
        assert found
        assert sum(len(gzip.compress((WEB / src).read_bytes())) for src in found) <= MOST, page
