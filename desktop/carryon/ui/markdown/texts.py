"""The words around a shown text: its code, its links. No Qt."""

COPY_CODE, CODE = "Copy code", "code"
LEADS_TO = "This link leads to"
LINK_TITLE, LINK_OPEN, LINK_COPY, LINK_CANCEL = "Open a web page?", "Open in browser", "Copy address", "Cancel"
MAIL_TITLE, MAIL_OPEN = "Write a mail?", "Open mail program"
