package catalog

import (
	"context"
	_ "embed" // the queries
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/authz/statement"
)

//go:embed sql/views.sql
var viewsSQL string

// Analyze turns a text into its facts: statement.Pool.Analyze.
type Analyze func(ctx context.Context, text string) (*statement.Sheet, error)

const (
	// viewBatch is how many views are asked for at once. pg_get_viewdef locks what a view reads, and the locks of one batch, given back
	// after it, must fit the backend's lock table: 64 for each connection it may have, by default.
	viewBatch = 50
	// maxLocked is how often lockTime is waited for in one reading.
	maxLocked = 10
)

// definition is what is known of one text.
type definition struct {
	sheet  *statement.Sheet
	opaque string // why sheet is nil
}

// definitions are known by their text: most changes of a database leave most views as they are.
type definitions map[string]definition

// readViews reads what views are made of.
func (r *reading) readViews(ctx context.Context) error {
	for batch := range slices.Chunk(r.views, viewBatch) {
		err := r.viewTexts(ctx, batch)
		if isStatementError(err) { // of one of them: only that one stays unknown
			err = r.viewsOneByOne(ctx, batch)
		}
		if err != nil {
			return fmt.Errorf("read views: %w", err)
		}
	}
	return nil
}

func (r *reading) viewsOneByOne(ctx context.Context, views []*Relation) error {
	for i, view := range views {
		err := r.viewTexts(ctx, views[i:i+1])
		var refused *pgconn.PgError
		switch {
		case !isStatementError(err):
			if err != nil {
				return err
			}
		case errors.As(err, &refused) && refused.Code == lockNotAvailable:
			r.locked++
			view.Opaque = "what it reads is locked"
		case errors.As(err, &refused):
			view.Opaque = "PostgreSQL does not show its definition (SQLSTATE " + refused.Code + ")"
		}
	}
	return nil
}

const lockNotAvailable = "55P03"

// isStatementError says whether the backend refused one statement, and the session goes on.
func isStatementError(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Severity != "FATAL" && refused.Code != "57014"
}

// viewTexts reads the texts of some views within a savepoint: going back to it gives their locks back, and heals the transaction.
func (r *reading) viewTexts(ctx context.Context, views []*Relation) error {
	if err := r.run(ctx, "SAVEPOINT views"); err != nil {
		return err
	}
	texts := make(map[uint32]string)
	err := r.askTexts(ctx, views, texts)
	if back := r.run(ctx, "ROLLBACK TO SAVEPOINT views"); back != nil {
		return errors.Join(back, err)
	}
	if err != nil {
		return err
	}
	for _, view := range views {
		if err := r.define(ctx, view, texts[view.OID]); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) askTexts(ctx context.Context, views []*Relation, texts map[uint32]string) error {
	if r.locked >= maxLocked { // it has been waited for long enough
		if err := r.run(ctx, "SELECT pg_catalog.set_config('lock_timeout', '1', true)"); err != nil {
			return err
		}
	}
	oids := make([]uint32, len(views))
	for i, view := range views {
		oids[i] = view.OID
	}
	values := parameters(array(oids), strconv.Itoa(maxDefinition+1))
	_, err := each(r.pg.ExecParams(ctx, viewsSQL, values, nil, nil, nil), func(row *row) {
		texts[row.oid(0)] = row.text(1)
	})
	return err
}

// define gives a view the facts of its text.
func (r *reading) define(ctx context.Context, view *Relation, text string) error {
	if text == "" {
		view.Opaque = "PostgreSQL does not show its definition"
		return nil
	}
	known, ok := r.known[text]
	if !ok {
		var err error
		if known, err = r.understand(ctx, text); err != nil {
			return err
		}
	}
	r.texts[text] = known
	view.Definition, view.Opaque = known.sheet, known.opaque
	return nil
}

// understand analyses a text. Its error says that it could not be done now; what is wrong with the text is in the definition.
func (r *reading) understand(ctx context.Context, text string) (definition, error) {
	if utf8.RuneCountInString(text) > maxDefinition {
		return definition{opaque: fmt.Sprintf("its definition is longer than %d characters", maxDefinition)}, nil
	}
	sheet, err := r.analyze(ctx, text)
	var syntax *statement.SyntaxError
	var limit *statement.LimitError
	switch {
	case errors.As(err, &syntax):
		return definition{opaque: "its definition is none that the parser knows"}, nil
	case errors.As(err, &limit):
		return definition{opaque: "its definition: " + limit.Message}, nil
	case err != nil:
		return definition{}, err
	}
	if reason := r.unclear(sheet); reason != "" {
		return definition{opaque: reason}, nil
	}
	return definition{sheet: sheet}, nil
}

// unclear says why a sheet is no definition to rely on, or "". The backend has written the text so that a name without a schema is in
// pg_catalog: what is not there would be looked for in other schemas, the wrong ones.
func (r *reading) unclear(sheet *statement.Sheet) string {
	switch {
	case !sheet.Complete:
		return strings.Join(sheet.Incomplete, "; ")
	case len(sheet.Statements) != 1 || sheet.Statements[0].Class != statement.ClassQuery:
		return "its definition is not one query"
	}
	for _, relation := range sheet.Statements[0].Relations {
		if relation.Schema == "" && r.snapshot.Relations[statement.Name{Schema: "pg_catalog", Name: relation.Name}] == nil {
			return fmt.Sprintf("its definition does not say where %q is", relation.Name)
		}
	}
	return ""
}
