import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.PGConnection;

/** JDBC against the gateway: what a program does, and one denial. */
public class Probe {
    public static void main(String[] args) throws Exception {
        var settings = new Properties();
        settings.put("user", System.getenv("PGUSER"));
        settings.put("password", System.getenv("PGPASSWORD"));
        settings.put("sslmode", "verify-full");
        settings.put("sslrootcert", System.getenv("PGSSLROOTCERT"));
        settings.put("ApplicationName", System.getenv("PGAPPNAME"));
        var url = "jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        try (Connection conn = DriverManager.getConnection(url, settings)) {
            try (PreparedStatement statement = conn.prepareStatement("SELECT name FROM customers WHERE id = ?")) {
                // From the fifth time on the driver uses a named statement and binary results.
                for (int i = 0; i < 10; i++) {
                    statement.setInt(1, 42);
                    try (ResultSet rows = statement.executeQuery()) {
                        check(rows.next() && rows.getString(1).equals("Chidi Jansen"), "row");
                    }
                }
            }
            conn.setAutoCommit(false);
            try (PreparedStatement statement = conn.prepareStatement("SELECT id FROM customers ORDER BY id")) {
                statement.setFetchSize(100); // a portal, suspended again and again
                int rows = 0;
                try (ResultSet result = statement.executeQuery()) {
                    while (result.next()) {
                        rows++;
                    }
                }
                check(rows == 2000, "fetched " + rows);
            }
            conn.commit();
            conn.setAutoCommit(true);
            try (ResultSet tables = conn.getMetaData().getTables(null, "app", "%", new String[] {"TABLE"})) {
                int found = 0;
                while (tables.next()) {
                    found++;
                }
                check(found >= 4, "metadata shows " + found + " tables");
            }
            try (ResultSet columns = conn.getMetaData().getColumns(null, "app", "customers", "%")) {
                check(columns.next(), "metadata shows no columns");
            }
            var out = new StringWriter();
            conn.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT id FROM customers) TO STDOUT", out);
            check(out.toString().lines().count() == 2000, "copied");
            try (Statement statement = conn.createStatement()) {
                statement.executeQuery("SELECT * FROM secrets");
                check(false, "not denied");
            } catch (SQLException e) {
                check("42501".equals(e.getSQLState()), e.getSQLState() + " " + e.getMessage());
            }
            try (Statement statement = conn.createStatement(); ResultSet rows = statement.executeQuery("SELECT 1")) {
                check(rows.next(), "the connection is of no use after a denial");
            }
        }
        System.out.println("ok");
    }

    private static void check(boolean good, String what) {
        if (!good) {
            throw new AssertionError(what);
        }
    }
}
