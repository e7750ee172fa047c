"""Order fulfilment on each pair of broker and store, its services and servers killed in the middle."""
