"""The words of the settings page. No Qt."""

from carryon.base.settings import Theme
from carryon.chat.message import Conversation

TITLE = "Settings"
APPEARANCE, ENGINE, MACHINE, FOLDERS, TRASH, ABOUT = (
    "Appearance",
    "Engine",
    "This machine",
    "Folders",
    "Trash",
    "About Carryon",
)
THEME, TEXT_SIZE, THREADS = "Theme", "&Text size", "Th&reads"
THEME_WORDS = {Theme.SYSTEM: "Like the system", Theme.LIGHT: "Light", Theme.DARK: "Dark"}
TEXT_SIZE_NOTE = "100 % is the system's own text size."
PATH_COPIED = "The path is copied."
RESTORE = "Restore"
TRASH_NOTE = "Chats stay here until they are restored. Nothing is deleted by itself."
TRASH_EMPTY = "The trash is empty."
FOLDERS_NOTE = "Carryon writes nowhere else."
MOVED_NOTE = "The environment variable CARRYON_HOME put everything here."
NOT_MOVED_NOTE = "To keep everything elsewhere, set the environment variable CARRYON_HOME to a folder before the start."
ABOUT_NOTE = "No account, no telemetry. Nothing leaves this machine unless you ask for it."
OPENED_NOT = "The folder could not be shown. Its path is copied instead."


def open_folder(what: str) -> str:
    """'Open the data folder'."""
    return f"Open the {what.lower()} folder"


def copy_path(what: str) -> str:
    """'Copy the path of the data folder'."""
    return f"Copy the path of the {what.lower()} folder"


def threads_note(physical_cores: int | None) -> str:
    """What automatic means here, and when a change counts."""
    cores = f" ({physical_cores} here)" if physical_cores else ""
    return f"Automatic is one for each physical core{cores}. A change counts the next time a model is loaded."


def folders_note(*, is_moved: bool) -> str:
    """Where things are kept, and how to move them."""
    return f"{FOLDERS_NOTE} {MOVED_NOTE if is_moved else NOT_MOVED_NOTE}"


def restored(conversation: Conversation) -> str:
    """After a chat came back."""
    return f"“{conversation.title}” is back in the list of chats."
