"""How notes are written in Jira's wiki text.

Wiki text by version 2 of the API, not the document format of version 3, because Data Center has no
version 3 and Cloud still takes both.
"""

from __future__ import annotations

import re
from typing import Final

from connectors.note import Form

_MARKUP: Final = re.compile(r"[\\{}\[\]*_+^~!|#?]|(?<!\w)-|-(?!\w)|\bbq\.|^h\d\.", re.MULTILINE)
"""What wiki text would read as markup; a hyphen inside a word is none."""

WIKI: Final = Form(
    escape=lambda text: _MARKUP.sub(lambda found: "\\" + found.group(), text),
    # Jira Cloud keeps comments as documents and writes them back into wiki text, with escapes and
    # line ends of its own; comparing letter by letter would rewrite the note at every report.
    words=lambda text: text.replace("\\", "").split(),
)
