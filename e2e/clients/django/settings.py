"""Two databases behind one gateway. Where it is and who connects is in libpq's variables."""

SECRET_KEY = "not one"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.postgres", "shop", "office"]
DATABASES = {
    name: {"ENGINE": "django.db.backends.postgresql", "NAME": database}
    for name, database in [("default", "scratch"), ("app", "app")]
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "Europe/Zurich"
USE_TZ = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
