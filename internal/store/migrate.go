package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"atelier/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. It refuses a database that a newer program has changed.
func migrate(ctx context.Context, db *sql.DB, d dialect) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(d.goose(), db, dir)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	present, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if present > target {
		return fault.New(fault.Invalid, "the database has schema version %d, this program knows versions up to %d: "+
			"a newer Atelier has used it. Start that one, or restore a backup from before the update", present, target)
	}
	if present == target {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("update the schema from version %d to %d: %w", present, target, err)
	}
	return nil
}
