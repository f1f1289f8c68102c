from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_fill_slug")]
    operations = [
        migrations.AlterField("book", "slug", models.CharField(max_length=200)),
        migrations.AddConstraint("book", models.UniqueConstraint(fields=["slug"], name="one_slug_a_book")),
    ]
