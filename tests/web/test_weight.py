"""How much a page loads before it works."""

import gzip
import re

from tests.web.conftest import ROOT

WEB = ROOT / "src" / "llmlora" / "web"
MOST = 250 * 1024
CHARTS = ("training/compare/index.html",)  # curves and choices of many jobs: it may weigh more
SCRIPT = re.compile(r'<script[^>]*src="/([^"]+)"([^>]*)>')


def test_no_page_loads_more_than_250_kb_of_script(built):
    for page in (one for one in WEB.rglob("*.html") if str(one.relative_to(WEB)) not in CHARTS):
        found = {src for src, rest in SCRIPT.findall(page.read_text("utf-8")) if "noModule" not in rest}
        assert found
        assert sum(len(gzip.compress((WEB / src).read_bytes())) for src in found) <= MOST, page
