"""The shop: five services on one broker and one store. This is the one place that knows them all.

`minuet run minuet.examples.order_fulfilment.app:app` runs it.
"""

from minuet import App, Workflow

from .events import GoodsReturned, OrderCancelled, OrderPlaced, OrderShipped, ReturnRefunded
from .inventory import inventory
from .notifications import notifications
from .orders import orders
from .payments import payments
from .shipping import shipping

order = Workflow("order", starts=OrderPlaced, ends=OrderShipped | OrderCancelled, within="1h")
goods_return = Workflow("return", starts=GoodsReturned, ends=ReturnRefunded, within="1h")


def build(broker: str, store: str) -> App:
    """Compose the shop on a broker and a store, each given as a URL such as `sqlite:///shop.db`."""
    return App(
        [orders, payments, inventory, shipping, notifications],
        workflows=[order, goods_return],
        broker=broker,
        store=store,
    )


app = build("sqlite:///orders.db", "sqlite:///orders.db")
