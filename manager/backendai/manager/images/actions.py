"""The actions on images and registries, named once: mutations, routes and commands do them."""

from typing import Final

from backendai.manager.gate.actor import Access, Action

RESCAN: Final = Action("image.rescan", Access.SUPERADMIN, writes=True)
MODIFY: Final = Action("image.modify", Access.SUPERADMIN, writes=True)
# Which images is said by the service.
FORGET: Final = Action("image.forget", writes=True)
ALIAS: Final = Action("image.alias", Access.SUPERADMIN, writes=True)
DEALIAS: Final = Action("image.dealias", Access.SUPERADMIN, writes=True)
PRELOAD: Final = Action("image.preload", Access.SUPERADMIN, writes=True)
UNLOAD: Final = Action("image.unload", Access.SUPERADMIN, writes=True)
CLEAR: Final = Action("image.clear", Access.SUPERADMIN, writes=True)
CREATE_REGISTRY: Final = Action("registry.create", Access.SUPERADMIN, writes=True)
MODIFY_REGISTRY: Final = Action("registry.modify", Access.SUPERADMIN, writes=True)
DELETE_REGISTRY: Final = Action("registry.delete", Access.SUPERADMIN, writes=True)
