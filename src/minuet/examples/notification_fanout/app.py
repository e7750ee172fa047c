"""A customer registers; e-mail, analytics, CRM and a welcome campaign take note, each for itself.

The CRM is down for good. That costs its own deliveries, which end as its dead letters, and nobody else's.

`minuet run minuet.examples.notification_fanout.app:app` runs them, and
`python -m minuet.examples.notification_fanout` registers a few customers.
"""

from minuet import App, Context, Event, Service, Transaction, Workflow, Writes, retry


class CustomerRegistered(Event, version=1, key="customer_id"):
    """Somebody opened an account. The address is not confirmed yet."""

    customer_id: str
    email: str
    country: str


class WelcomeSent(Event, version=1, key="customer_id"):
    """The customer was greeted by mail."""

    customer_id: str


accounts = Service("accounts", owns=[CustomerRegistered])

# E-mail: holds no transaction while it waits for the gateway; its row is written once the mail is out.

emails = Service("emails", owns=[WelcomeSent])


class Mail:
    """Stands in for a mail gateway."""

    async def send(self, address: str, text: str, *, idempotency_key: str) -> None:
        """Send a text to an address, once for each idempotency key."""


@emails.provides
def mail() -> Mail:
    """Open the line to the mail gateway."""
    return Mail()


@emails.setup
async def sent(tx: Transaction) -> None:
    """Create the list of mails that were sent."""
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS emails_sent (customer_id TEXT PRIMARY KEY, email TEXT NOT NULL)""")


@emails.reaction
async def welcome(customer: CustomerRegistered, mail: Mail, writes: Writes, context: Context) -> WelcomeSent:
    """Greet the customer."""
    await mail.send(customer.email, "Welcome!", idempotency_key=context.idempotency_key)
    writes.execute("INSERT INTO emails_sent VALUES (?, ?)", (customer.customer_id, customer.email))
    return WelcomeSent(customer_id=customer.customer_id)


# Analytics: counts.

analytics = Service("analytics")


@analytics.setup
async def registrations(tx: Transaction) -> None:
    """Create the counts by country."""
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS analytics_registrations (
            country TEXT PRIMARY KEY, customers INTEGER NOT NULL
        )""")


@analytics.reaction
async def count(customer: CustomerRegistered, tx: Transaction) -> None:
    """Count the customer. A registration that is delivered twice counts once."""
    await tx.execute(
        """INSERT INTO analytics_registrations VALUES (?, 1)
           ON CONFLICT (country) DO UPDATE SET customers = analytics_registrations.customers + 1""",
        (customer.country,),
    )


# CRM: a partner that does not answer. Its trouble stays its own.

crm = Service("crm")


class CrmDown(Exception):
    """The CRM does not answer."""


class Crm:
    """Stands in for a CRM on a bad day."""

    async def create_contact(self, email: str, *, idempotency_key: str) -> None:
        """Raise CrmDown."""
        raise CrmDown(f"no answer to {idempotency_key}: contact {email}")


@crm.provides
def partner() -> Crm:
    """Open the line to the CRM."""
    return Crm()


@crm.reaction(retry=retry(times=2, first="10ms", most="100ms"))
async def create_contact(customer: CustomerRegistered, partner: Crm, context: Context) -> None:
    """Make the customer known to the sales people; `minuet dlq redrive` does it once the CRM is back."""
    await partner.create_contact(customer.email, idempotency_key=context.idempotency_key)


# Campaigns: begins with those customers that it is for.

campaigns = Service("campaigns")

COUNTRIES = ("GB", "IE")


def is_in_reach(customer: CustomerRegistered) -> bool:
    """Tell whether the campaign is for customers of this country."""
    return customer.country in COUNTRIES


@campaigns.setup
async def members(tx: Transaction) -> None:
    """Create the list of customers who take part."""
    await tx.execute("CREATE TABLE IF NOT EXISTS campaigns_members (customer_id TEXT PRIMARY KEY)")


@campaigns.reaction(when=is_in_reach)
async def enrol(customer: CustomerRegistered, tx: Transaction) -> None:
    """Let the customer take part in the welcome campaign."""
    await tx.execute("INSERT INTO campaigns_members VALUES (?)", (customer.customer_id,))


registration = Workflow("registration", starts=CustomerRegistered, ends=WelcomeSent, within="10m")


def build(broker: str, store: str) -> App:
    """Compose the services on a broker and a store, each given as a URL such as `sqlite:///accounts.db`."""
    return App([accounts, emails, analytics, crm, campaigns], workflows=[registration], broker=broker, store=store)


app = build("sqlite:///accounts.db", "sqlite:///accounts.db")


async def play(app: App) -> None:
    """Register a few customers. Registering them again changes nothing."""
    async with app.connected():
        for customer in (
            CustomerRegistered(customer_id="c1", email="ada@example.org", country="GB"),
            CustomerRegistered(customer_id="c2", email="emmy@example.org", country="DE"),
            CustomerRegistered(customer_id="c3", email="grace@example.org", country="US"),
            CustomerRegistered(customer_id="c4", email="kathleen@example.org", country="IE"),
        ):
            await accounts.emit(
                customer, id=f"registration-{customer.customer_id}", correlation_id=customer.customer_id
            )
