package store

import (
	"context"
	"strings"

	"atelier/internal/fault"
	"atelier/internal/keystore"
)

var _ keystore.Store = (*Store)(nil)

// seenColumns are a file's, and those of the grant that a left join has found or not.
const seenColumns = `f.id, f.domain_id, f.name, f.description, f.shared, f.creator_id, f.creator_name, f.updater_id, f.updater_name, f.created_at, f.updated_at,
	COALESCE(g.may_use, FALSE), COALESCE(g.may_modify, FALSE), COALESCE(g.may_delete, FALSE), COALESCE(g.may_assign, FALSE)
	FROM keystore_files f LEFT JOIN keystore_grants g ON g.file_id = f.id AND g.user_id = ?`

func scanSeen(row scanner) (f keystore.Seen, err error) {
	var created, updated int64
	err = row.Scan(&f.ID, &f.DomainID, &f.Name, &f.Description, &f.Shared, &f.CreatorID, &f.CreatorName, &f.UpdaterID, &f.UpdaterName, &created, &updated,
		&f.Rights.Use, &f.Rights.Modify, &f.Rights.Delete, &f.Rights.Assign)
	f.CreatedAt, f.UpdatedAt = moment(created), moment(updated)
	return f, err
}

// AddKeystoreFile implements [keystore.Store].
func (s *Store) AddKeystoreFile(ctx context.Context, f keystore.File, sealed string, grant keystore.Grant, most int) error {
	return s.write(ctx, func(t *tx) error {
		var n int
		// The row of the domain is the lock: nobody else counts meanwhile.
		if _, err := t.exec(ctx, `UPDATE domains SET name = name WHERE id = ?`, f.DomainID); err != nil {
			return err
		}
		if err := t.row(ctx, `SELECT count(*) FROM keystore_files WHERE domain_id = ?`, f.DomainID).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return fault.New(fault.Limit, "the tenant has %d files, and more are not allowed; delete one first", n)
		}
		_, err := t.exec(ctx, `INSERT INTO keystore_files (id, domain_id, name, description, shared, content, creator_id, creator_name, updater_id, updater_name, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, f.ID, f.DomainID, f.Name, f.Description, f.Shared, sealed, f.CreatorID, f.CreatorName,
			f.UpdaterID, f.UpdaterName, millis(f.CreatedAt), millis(f.UpdatedAt))
		if err != nil {
			return s.taken(err, "another file is called %q", f.Name)
		}
		return insertGrant(ctx, t, grant)
	})
}

// KeystoreFile implements [keystore.Store].
func (s *Store) KeystoreFile(ctx context.Context, domainID, id, userID string) (keystore.File, keystore.Rights, error) {
	f, err := scanSeen(s.reader.row(ctx, `SELECT `+seenColumns+` WHERE f.id = ? AND f.domain_id = ?`, userID, id, domainID))
	return f.File, f.Rights, missing(err, "the file does not exist")
}

// KeystoreFileNamed implements [keystore.Store].
func (s *Store) KeystoreFileNamed(ctx context.Context, domainID, name, userID string) (keystore.File, keystore.Rights, error) {
	f, err := scanSeen(s.reader.row(ctx, `SELECT `+seenColumns+` WHERE f.domain_id = ? AND f.name = ?`, userID, domainID, name))
	return f.File, f.Rights, missing(err, "the file does not exist")
}

// KeystoreFiles implements [keystore.Store].
func (s *Store) KeystoreFiles(ctx context.Context, domainID, userID, search string) ([]keystore.Seen, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+seenColumns+` WHERE f.domain_id = ? ORDER BY f.name`, userID, domainID)
	if err != nil {
		return nil, err
	}
	all, err := collect(rows, scanSeen) // a domain has few
	var found []keystore.Seen
	for _, f := range all {
		if strings.Contains(strings.ToLower(f.Name), strings.ToLower(search)) {
			found = append(found, f)
		}
	}
	return found, err
}

// KeystoreContent implements [keystore.Store].
func (s *Store) KeystoreContent(ctx context.Context, id string) (sealed string, err error) {
	err = s.reader.row(ctx, `SELECT content FROM keystore_files WHERE id = ?`, id).Scan(&sealed)
	return sealed, missing(err, "the file does not exist")
}

// UpdateKeystoreFile implements [keystore.Store].
func (s *Store) UpdateKeystoreFile(ctx context.Context, f keystore.File) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE keystore_files SET name = ?, description = ?, shared = ?, updater_id = ?, updater_name = ?, updated_at = ? WHERE id = ?`,
			f.Name, f.Description, f.Shared, f.UpdaterID, f.UpdaterName, millis(f.UpdatedAt), f.ID)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "the file does not exist")
		}
		return s.taken(err, "another file is called %q", f.Name)
	})
}

// DeleteKeystoreFile implements [keystore.Store].
func (s *Store) DeleteKeystoreFile(ctx context.Context, id string) error {
	return s.write(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `DELETE FROM keystore_grants WHERE file_id = ?`, id); err != nil {
			return err
		}
		n, err := t.exec(ctx, `DELETE FROM keystore_files WHERE id = ?`, id)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "the file does not exist")
		}
		return err
	})
}

const grantColumns = `id, file_id, user_id, user_name, may_use, may_modify, may_delete, may_assign, creator, fixed`

func scanGrant(row scanner) (g keystore.Grant, err error) {
	r := &g.Rights
	return g, row.Scan(&g.ID, &g.FileID, &g.UserID, &g.UserName, &r.Use, &r.Modify, &r.Delete, &r.Assign, &g.Creator, &g.Fixed)
}

func insertGrant(ctx context.Context, t *tx, g keystore.Grant) error {
	r := g.Rights
	_, err := t.exec(ctx, `INSERT INTO keystore_grants (`+grantColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		g.ID, g.FileID, g.UserID, g.UserName, r.Use, r.Modify, r.Delete, r.Assign, g.Creator, g.Fixed)
	return err
}

// AddGrant implements [keystore.Store].
func (s *Store) AddGrant(ctx context.Context, g keystore.Grant) error {
	return s.write(ctx, func(t *tx) error {
		return s.taken(insertGrant(ctx, t, g), "user %s has a permission on the file already; change that one", g.UserName)
	})
}

// Grant implements [keystore.Store].
func (s *Store) Grant(ctx context.Context, id string) (keystore.Grant, error) {
	g, err := scanGrant(s.reader.row(ctx, `SELECT `+grantColumns+` FROM keystore_grants WHERE id = ?`, id))
	return g, missing(err, "the permission does not exist")
}

// Grants implements [keystore.Store].
func (s *Store) Grants(ctx context.Context, fileID string, offset, limit int) ([]keystore.Grant, int, error) {
	var total int
	if err := s.reader.row(ctx, `SELECT count(*) FROM keystore_grants WHERE file_id = ?`, fileID).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := s.reader.rows(ctx, `SELECT `+grantColumns+` FROM keystore_grants WHERE file_id = ? ORDER BY creator DESC, user_name, id LIMIT ? OFFSET ?`,
		fileID, limit, offset)
	if err != nil {
		return nil, 0, err
	}
	grants, err := collect(rows, scanGrant)
	return grants, total, err
}

// UpdateGrant implements [keystore.Store].
func (s *Store) UpdateGrant(ctx context.Context, g keystore.Grant) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE keystore_grants SET may_use = ?, may_modify = ?, may_delete = ?, may_assign = ? WHERE id = ?`,
			g.Rights.Use, g.Rights.Modify, g.Rights.Delete, g.Rights.Assign, g.ID)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "the permission does not exist")
		}
		return err
	})
}

// DeleteGrant implements [keystore.Store].
func (s *Store) DeleteGrant(ctx context.Context, id string) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `DELETE FROM keystore_grants WHERE id = ?`, id)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "the permission does not exist")
		}
		return err
	})
}
