"""The actions on sessions, named once: routes declare them, tests derive who may."""

from typing import Final

from backendai.manager.gate.actor import Action

CREATE: Final = Action("session.create", writes=True, begins=True)
READ: Final = Action("session.read", in_projects=True)
END: Final = Action("session.end", writes=True, in_projects=True)
RESTART: Final = Action("session.restart", writes=True)
RENAME: Final = Action("session.rename", writes=True)
MODIFY: Final = Action("session.modify", writes=True)
COMMIT: Final = Action("session.commit", writes=True)
EXECUTE: Final = Action("session.execute", writes=True)
WRITE_FILES: Final = Action("session.files.write", writes=True)
READ_FILES: Final = Action("session.files.read")
WATCH: Final = Action("session.watch")
USE_APPS: Final = Action("session.apps.use", writes=True)
