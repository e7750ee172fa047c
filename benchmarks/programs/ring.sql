-- For long runs: each service keeps one row an order number, and order numbers come round again.

CREATE UNIQUE INDEX orders_ring ON orders_state (order_id);
CREATE UNIQUE INDEX payments_ring ON payments_state (order_id);
CREATE UNIQUE INDEX inventory_ring ON inventory_state (order_id);
CREATE UNIQUE INDEX shipping_ring ON shipping_state (order_id);
CREATE UNIQUE INDEX notification_ring ON notification_state (order_id);
