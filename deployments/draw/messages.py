"""Draws messages as a person would see them in Slack: a page that imitates it, as PNGs.

    make alert-delays OUT=messages
    deployments/draw/messages.py messages/TestAlertsReachTheirChannel.json docs/images critical=RedisMemoryCritical …

`critical`, `warning`, `info` and `resolved` are looked for in the first channel, `escalation` in the second. Of the messages
that tell of the alert the shortest is drawn.
"""

import html
import json
import re
import sys
from datetime import datetime

from page import picture

COLOURS = {"critical": "#e01e5a", "warning": "#ecb22e", "info": "#36c5f0", "resolved": "#2eb67d", "escalation": "#e01e5a"}
# Drawn, as not every machine has letters for them.
CIRCLES = {"red_circle": "#dd2e44", "large_yellow_circle": "#fdcb58", "large_blue_circle": "#55acee", "large_green_circle": "#78b159"}
WIDTH, LETTERS, LINE = 900, 108, 22  # pixels, letters in a line of text, pixels of a line

STYLE = """<style>
body { margin: 16px 20px; font: 15px/22px Lato, "Noto Sans", "DejaVu Sans", sans-serif; color: #1d1c1d; background: #fff }
.channel { font-weight: bold; border-bottom: 1px solid #ddd; padding-bottom: 8px; margin-bottom: 14px }
.message { display: grid; grid-template-columns: 36px 1fr; gap: 10px }
.face { width: 36px; height: 36px; border-radius: 6px; background: #4a154b; color: #fff; font-weight: bold; text-align: center; line-height: 36px }
.app { font-size: 10px; background: #e8e8e8; border-radius: 2px; padding: 1px 3px; color: #616061 }
.time, .footer { font-size: 12px; color: #616061 }
.at { background: #fff1c9; color: #1264a3 }
.attachment { border-left: 4px solid; border-radius: 4px; padding: 0 0 2px 12px; margin-top: 4px }
.circle { display: inline-block; width: 15px; height: 15px; border-radius: 8px; vertical-align: -2px }
.title { font-weight: bold } a { color: #1264a3; text-decoration: none }
code { border: 1px solid #ddd; background: #f8f8f8; border-radius: 3px; color: #e01e5a; font-size: 12px; padding: 1px 3px }
</style>"""


def main(file: str, folder: str, *wanted: str) -> None:
    with open(file) as content:
        messages = json.load(content)
    for want in wanted:
        kind, _, alert = want.partition("=")
        message = choose(messages, kind, alert)
        text = re.sub("<[^>]+>", "link", message["attachments"][0]["text"])
        lines = sum(1 + len(line) // LETTERS for line in text.split("\n")) + bool(message["attachments"][0].get("pretext"))
        picture(STYLE + page(message, kind), WIDTH, 150 + LINE * lines, f"{folder}/alert-{kind}.png")


def choose(messages: list[dict], kind: str, alert: str) -> dict:
    fitting = [m for m in messages if f"*{alert}*" in m["attachments"][0]["text"] and m["attachments"][0]["color"] == COLOURS[kind]
               and (m["Channel"] == "/second") == (kind == "escalation")]
    if not fitting:
        sys.exit(f"no message tells of {alert} as {kind}")
    return min(fitting, key=lambda m: len(m["attachments"][0]["text"]))


def page(message: dict, kind: str) -> str:
    a = message["attachments"][0]
    at = datetime.fromisoformat(message["At"][:19])
    pretext = f"<div>{mrkdwn(a['pretext'])}</div>" if a.get("pretext") else ""
    return f"""<div class=channel># {'alerts-escalated' if kind == 'escalation' else 'alerts'}</div>
<div class=message><div class=face>{message['username'][0]}</div><div>
<b>{html.escape(message['username'])}</b> <span class=app>APP</span> <span class=time>{at:%H:%M}</span>{pretext}
<div class=attachment style="border-color: {a['color']}"><div class=title><a href="#">{mrkdwn(a['title'])}</a></div>
<div>{mrkdwn(a['text'])}</div><div class=footer>{html.escape(a['footer'])}</div></div></div></div>"""


def mrkdwn(text: str) -> str:
    """Slack's marks as HTML; &, < and > of the text come escaped already."""
    text = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r'<a href="#">\2</a>', text)
    text = text.replace("<!channel>", "<span class=at>@channel</span>")
    text = re.sub(r":(\w+):", lambda m: f'<span class=circle style="background: {CIRCLES[m[1]]}"></span>' if m[1] in CIRCLES else m[0], text)
    text = text.replace(":white_check_mark:", "✓")
    text = re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"<b>\1</b>", text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return text.replace("\n", "<br>")


if __name__ == "__main__":
    main(*sys.argv[1:])
