"""Django against the gateway: probe.py migrate|work|read|rollback, each for the account that may do it."""

import io
import os
import sys
from contextlib import contextmanager

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django
from django.core.management import call_command
from django.db import IntegrityError, ProgrammingError, connection, connections, transaction
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Sum, Window
from django.db.models.functions import Concat, RowNumber, TruncMonth, Upper

django.setup()

from django.contrib.auth.models import Permission, User
from office.models import Customer, Order, Secret
from shop.models import Author, Book, Tag


@contextmanager
def denied(reason):
    try:
        yield
    except ProgrammingError as error:
        state = getattr(error.__cause__, "sqlstate", None) or error.__cause__.pgcode
        assert state == "42501" and reason in str(error), error
    else:
        raise SystemExit(f"not denied: {reason}")


def command(*args, **options):
    out = io.StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def columns(table):
    with connection.cursor() as cursor:
        return [c.name for c in connection.introspection.get_table_description(cursor, table)]


def migrate():
    command("migrate", "shop", "0002")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO shop_author (name) VALUES ('Mary Shelley')")
        for title in ["Frankenstein", "The Last Man"]:
            cursor.execute(
                "INSERT INTO shop_book (title, pages, price, facts, words, added_at, author_id)"
                " SELECT %s, 280, 9.5, '{}', '{}', now(), id FROM shop_author",
                [title],
            )
    command("migrate")
    assert sorted(Book.objects.values_list("slug", flat=True)) == ["frankenstein", "the-last-man"]
    command("migrate", "shop", "0001")
    assert "slug" not in columns("shop_book")
    command("migrate")
    assert "slug" in columns("shop_book")
    command("makemigrations", check_changes=True, dry_run=True)  # exits if models and migrations differ


def rollback():
    for app in ["shop", "auth", "contenttypes"]:
        command("migrate", app, "zero")
    left = connection.introspection.table_names()
    assert "django_migrations" in left and not [name for name in left if name.startswith(("shop_", "auth_"))], left


def work():
    command("migrate", check_unapplied=True)  # exits if there is something to do
    rows_and_relations()
    queries()
    transactions()
    users()
    denials()
    names = connection.introspection
    with connection.cursor() as cursor:
        assert names.get_constraints(cursor, "shop_book")["one_slug_a_book"]["unique"]
        assert names.get_sequences(cursor, "shop_book")[0]["name"] == "shop_book_id_seq"


def rows_and_relations():
    author = Author.objects.create(name="Jules Verne")
    Book.objects.bulk_create(
        Book(author=author, title=f"Voyage {n}", slug=f"voyage-{n}", pages=100 + n, price=n, facts={"n": n},
             words=["sea", str(n)], in_print=("1870-01-01", None))
        for n in range(200)
    )
    Book.objects.bulk_create([Book(author=author, title="again", slug="voyage-1")], ignore_conflicts=True)
    books = list(author.books.order_by("pages"))
    assert len(books) == 200 and books[0].pk
    for book in books:
        book.pages += 1
    Book.objects.bulk_update(books, ["pages", "facts"], batch_size=50)
    tag, made = Tag.objects.get_or_create(name="travel")
    assert made and Tag.objects.get_or_create(name="travel") == (tag, False)
    assert Tag.objects.update_or_create(name="travel", defaults={"name": "travels"}) == (tag, False)
    books[0].tags.set([tag, Tag.objects.create(name="sea")])
    books[0].tags.remove(tag)
    assert [t.name for t in Book.objects.prefetch_related("tags").get(pk=books[0].pk).tags.all()] == ["sea"]
    assert Book.objects.select_related("author").get(slug="voyage-7").author.name == "Jules Verne"
    assert Book.objects.filter(author__name="Jules Verne", slug="voyage-7").update(pages=F("pages") + 1) == 1
    books[1].delete()
    assert Book.objects.filter(pages__lt=0).delete() == (0, {})
    assert len(Book.objects.in_bulk([b.pk for b in books])) == 199


def queries():
    books = Book.objects.filter(author__name="Jules Verne")
    assert books.aggregate(n=Count("id"), mean=Avg("price"), pages=Sum("pages", filter=Q(pages__gt=150)))["n"] == 199
    assert Author.objects.annotate(n=Count("books")).filter(n__gt=100).get().n == 199
    assert len(books.order_by("pages")[20:30]) == 10 and books.filter(slug__icontains="AGE-1").exists()
    page = books.annotate(row=Window(RowNumber(), order_by=F("pages").desc()), shout=Upper(Concat("title", "slug")))
    assert [b.row for b in page.order_by("row")[:3]] == [1, 2, 3]
    at_sea = books.filter(facts__n__gte=190, words__contains=["sea"], in_print__contains=("1900-01-01", "1901-01-01"))
    assert at_sea.count() == 10
    assert Author.objects.filter(Exists(Book.objects.filter(author=OuterRef("pk"), pages__gt=280))).count() == 1
    assert books.annotate(month=TruncMonth("added_at")).values("month").annotate(n=Count("id")).count() == 1
    assert books.filter(pages__lt=110).union(books.filter(pages__gt=290)).count() > 10
    assert sum(1 for _ in books.iterator(chunk_size=20)) == 199  # a cursor WITH HOLD
    with transaction.atomic():
        assert sum(1 for _ in books.iterator(chunk_size=20)) == 199
    assert len(list(Book.objects.raw("SELECT id, title FROM shop_book WHERE pages > %s", [290]))) > 5
    assert "Scan" in books.explain(analyze=True)


def transactions():
    with transaction.atomic():
        book = Book.objects.select_for_update(of=("self",), skip_locked=True).get(slug="voyage-7")
        try:
            with transaction.atomic():
                Book.objects.create(author=book.author, title="twice", slug="voyage-7")
            raise SystemExit("the slug is there twice")
        except IntegrityError:
            pass
        Book.objects.filter(pk=book.pk).update(pages=7)
        transaction.set_rollback(True)
    assert Book.objects.get(slug="voyage-7").pages != 7


def users():
    user = User.objects.create_user("reader", password="x")
    user.user_permissions.add(Permission.objects.get(codename="view_book"))
    assert User.objects.get(username="reader").has_perm("shop.view_book")


def denials():
    with denied("CREATE TABLE is not permitted"), connection.schema_editor() as editor:
        editor.create_model(Secret)
    with denied("UPDATE or DELETE of public.shop_tag needs a WHERE"):
        Tag.objects.update(name="all")
    with transaction.atomic(using="app"):
        order = Order.objects.using("app").select_for_update().get(pk=100)
        with denied("table app.secrets is not granted"), transaction.atomic(using="app"):
            Secret.objects.using("app").first()
        order.status = "open" if order.status == "paid" else "paid"  # goes on after the savepoint
        order.save()
        transaction.set_rollback(True, using="app")
    read()


def read():
    """What an analyst can do too."""
    with connections["app"].cursor() as cursor:  # what Django 4.2 and newer do when they connect
        cursor.execute("SELECT set_config('TimeZone', %s, false)", ["Europe/Zurich"])
    customer = Customer.objects.using("app").prefetch_related("orders").get(pk=42)
    assert customer.name == "Chidi Jansen" and customer.orders.all()
    with denied("table app.secrets is not granted"), transaction.atomic(using="app"):
        assert Order.objects.using("app").count() > 0
        Secret.objects.using("app").get(pk=1)
    assert connections["app"].in_atomic_block is False
    models = command("inspectdb", database="app")
    assert "customer = models.ForeignKey(Customers" in models, models
    assert "# Unable to inspect table 'secrets'" in models, models


globals()[sys.argv[1]]()
print("Django", django.get_version(), "on", connection.Database.__name__, connection.Database.__version__)
print("ok")
