-- The reference work's tables: what each of the five services keeps of an order.

CREATE TABLE orders_state (
    order_id TEXT, customer_id TEXT, sku TEXT, quantity INTEGER, total_pence INTEGER, address TEXT
);
CREATE TABLE payments_state (
    order_id TEXT, customer_id TEXT, sku TEXT, quantity INTEGER, total_pence INTEGER, address TEXT
);
CREATE TABLE inventory_state (
    order_id TEXT, customer_id TEXT, sku TEXT, quantity INTEGER, total_pence INTEGER, address TEXT
);
CREATE TABLE shipping_state (
    order_id TEXT, customer_id TEXT, sku TEXT, quantity INTEGER, total_pence INTEGER, address TEXT
);
CREATE TABLE notification_state (
    order_id TEXT, customer_id TEXT, sku TEXT, quantity INTEGER, total_pence INTEGER, address TEXT
);
