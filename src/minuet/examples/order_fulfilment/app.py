"""The shop: five services on one broker and one store. This is the one place that knows them all.

`minuet run minuet.examples.order_fulfilment.app:app` runs it.
"""

from minuet import App, Workflow

from .bank import Bank
from .events import GoodsReturned, OrderCancelled, OrderPlaced, OrderShipped, ReturnRefunded
from .inventory import Shelves, inventory
from .mail import Mail
from .notifications import notifications
from .orders import orders
from .payments import payments
from .settings import Settings
from .shipping import shipping

order = Workflow("order", starts=OrderPlaced, ends=OrderShipped | OrderCancelled, within="1h")
goods_return = Workflow("return", starts=GoodsReturned, ends=ReturnRefunded, within="1h")


def build(broker: str, store: str, settings: Settings | None = None) -> App:
    """Compose the shop on a broker and a store, each given as a URL such as `sqlite:///shop.db`.

    Without settings, each service provides itself with partners that follow the environment's.
    """
    partners: dict[type, object] = {}
    if settings is not None:
        partners = {Bank: Bank(settings), Shelves: Shelves(settings), Mail: Mail(settings)}
    return App(
        [orders, payments, inventory, shipping, notifications],
        workflows=[order, goods_return],
        broker=broker,
        store=store,
        provide=partners,
    )


app = build("sqlite:///orders.db", "sqlite:///orders.db")
