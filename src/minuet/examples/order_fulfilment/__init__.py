"""A shop's orders through five services: paid, reserved, shipped and announced, or undone step by step.

Read `events` first, then the services in the order of the flow: `orders`, `payments`, `inventory`,
`shipping`, `notifications`. `app` composes them. `input`, `generate` and `feed` bring orders in; `books` and
`audit` prove that money and stock balance, whatever was killed on the way.
"""
