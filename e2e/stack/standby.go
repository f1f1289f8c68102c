package stack

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// StartStandby makes a copy of the cluster that follows it by streaming
// replication, with its own log in dir. Its certificate is the cluster's.
func (pg *Postgres) StartStandby(ctx context.Context, dir string) (_ *Postgres, err error) {
	owner, err := backendAccount()
	if err != nil {
		return nil, err
	}
	base, err := os.MkdirTemp("", clusterPrefix)
	if err != nil {
		return nil, fmt.Errorf("make directory for a standby: %w", err)
	}
	standby := *pg
	standby.base, standby.process, standby.Log = base, nil, filepath.Join(dir, "standby.log")
	defer func() {
		if err != nil {
			_ = standby.Stop()
		}
	}()
	if standby.Port, err = port(0); err != nil {
		return nil, err
	}
	if err := standby.copyOf(ctx, pg, owner); err != nil {
		return nil, fmt.Errorf("copy the cluster: %w", err)
	}
	standby.process, err = start(command{
		name: "standby", path: filepath.Join(pg.Bin, "postgres"), args: []string{"-D", standby.data()},
		dir: base, log: standby.Log, user: owner, parent: syscall.SIGQUIT,
	})
	if err != nil {
		return nil, err
	}
	return &standby, standby.process.ready(ctx, standby.ping)
}

// copyOf takes a base backup and has it follow the cluster that it is of.
func (pg *Postgres) copyOf(ctx context.Context, of *Postgres, owner *account) error {
	if err := owner.own(pg.base); err != nil {
		return err
	}
	// A role of its own, whose password may lie in the standby's configuration.
	password := rand.Text()
	name := "standby_" + strings.ToLower(rand.Text()[:8])
	if err := of.execute(ctx, "postgres", "SET log_statement = 'none'", "CREATE ROLE "+name+" LOGIN REPLICATION IN ROLE by_replication PASSWORD '"+password+"'"); err != nil {
		return err
	}
	passwordFile := filepath.Join(pg.base, "pgpass")
	if err := owner.write(passwordFile, []byte("*:*:*:*:"+password+"\n")); err != nil {
		return err
	}
	none := filepath.Join(pg.base, "none") // and not what is in our own home, which it may not read
	from := fmt.Sprintf("host=127.0.0.1 port=%d user=%s passfile=%s sslmode=require sslcert=%s sslrootcert=%s application_name=standby",
		of.Port, name, passwordFile, none, none)
	if err := run(ctx, owner, pg.base, filepath.Join(pg.Bin, "pg_basebackup"), "-d", from, "-D", pg.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync"); err != nil {
		return err
	}
	settings, err := os.OpenFile(filepath.Join(pg.data(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer settings.Close()
	_, err = settings.WriteString("port = " + strconv.Itoa(pg.Port) + "\n")
	return err
}

// Crash ends the cluster as a dead machine would: nobody is told.
func (pg *Postgres) Crash() error { return pg.process.stop(syscall.SIGQUIT, fastShutdown) }

// Promote makes a standby the primary.
func (pg *Postgres) Promote(ctx context.Context) error {
	return pg.execute(ctx, "postgres", "SELECT pg_promote()")
}

// CaughtUp returns when a standby has replayed all that its primary has
// written so far.
func (pg *Postgres) CaughtUp(ctx context.Context, primary *Postgres) error {
	var position string
	if err := primary.ask(ctx, "SELECT pg_current_wal_insert_lsn()::text", &position); err != nil {
		return err
	}
	return await(ctx, pg.process.done, func(ctx context.Context) error {
		var there bool
		if err := pg.ask(ctx, "SELECT pg_last_wal_replay_lsn() >= '"+position+"'::pg_lsn", &there); err != nil || there {
			return err
		}
		return fmt.Errorf("the standby has not replayed %s", position)
	})
}

func (pg *Postgres) ask(ctx context.Context, question string, answer any) error {
	conn, err := pgx.Connect(ctx, pg.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, question).Scan(answer)
}
