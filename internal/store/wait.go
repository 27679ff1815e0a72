package store

import (
	"context"
	"time"

	"atelier/internal/build"
)

// Announce says that an engine takes builds until the given moment. As it comes again and again, it sets the clock too.
func (s *Store) Announce(ctx context.Context, o build.Offer, until time.Time) error {
	if err := s.setClock(ctx); err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO engines (owner, arch, classes, slots, until) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (owner) DO UPDATE SET arch = excluded.arch, classes = excluded.classes, slots = excluded.slots, until = excluded.until`,
			o.Owner, o.Arch, asJSON(o.Classes), o.Slots, millis(until))
		return err
	})
}

// Standing says where a build stands that waits. One that does not is a fault.NotFound error.
func (s *Store) Standing(ctx context.Context, id build.RecordID, now time.Time) (build.Standing, error) {
	var st build.Standing
	var queued int64
	var job, domain string
	err := s.reader.row(ctx, `SELECT records.need_arch, records.need_class, records.queued_at, records.job_id, jobs.domain_id, records.state = 'scheduled'`+recordFrom+`
		WHERE records.id = ? AND (records.state = 'queued' OR records.state = 'scheduled' AND records.waits_for = ?)`, string(id), string(build.WaitForAnswer)).
		Scan(&st.Needs.Arch, &st.Needs.Class, &queued, &job, &domain, &st.Held)
	if err != nil {
		return build.Standing{}, missing(err, "the build does not wait")
	}
	if st.Held {
		return st, nil
	}
	err = s.reader.row(ctx, `SELECT count(*) FROM records WHERE state = 'queued' AND (queued_at < ? OR queued_at = ? AND id < ?)`,
		queued, queued, string(id)).Scan(&st.Ahead)
	if err != nil {
		return build.Standing{}, err
	}
	rows, err := s.reader.rows(ctx, `SELECT records.lease_owner, count(*), count(CASE WHEN records.job_id = ? THEN 1 END), count(CASE WHEN jobs.domain_id = ? THEN 1 END)`+
		recordFrom+` WHERE `+active+` GROUP BY records.lease_owner`, job, domain)
	if err != nil {
		return build.Standing{}, err
	}
	st.Busy = make(map[string]int)
	_, err = collect(rows, func(row scanner) (owner string, err error) {
		var all, task, tenant int
		err = row.Scan(&owner, &all, &task, &tenant)
		st.Busy[owner], st.TaskActive, st.TenantActive = all, st.TaskActive+task, st.TenantActive+tenant
		return owner, err
	})
	if err != nil {
		return build.Standing{}, err
	}
	st.Engines, err = s.Engines(ctx, now)
	return st, err
}

// Engines implements [build.Store].
func (s *Store) Engines(ctx context.Context, now time.Time) ([]build.Offer, error) {
	rows, err := s.reader.rows(ctx, `SELECT owner, arch, classes, slots FROM engines WHERE until > ? ORDER BY owner`, millis(now))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (o build.Offer, err error) {
		var classes string
		if err = row.Scan(&o.Owner, &o.Arch, &classes, &o.Slots); err == nil {
			err = fromJSON(classes, &o.Classes)
		}
		return o, err
	})
}

// Waiting returns builds that were queued before the given moment, the oldest first, with what their logs say that they wait for.
func (s *Store) Waiting(ctx context.Context, queuedBefore time.Time, limit int) ([]build.Waiting, error) {
	rows, err := s.reader.rows(ctx, `SELECT id, waits_for FROM records WHERE state = 'queued' AND queued_at < ? ORDER BY queued_at, id LIMIT ?`,
		millis(queuedBefore), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (w build.Waiting, err error) {
		return w, row.Scan(&w.ID, &w.For)
	})
}

// NoteWait stores what the log of a queued build is to say that it waits for; false when the build does not wait any more, or
// when that was stored before.
func (s *Store) NoteWait(ctx context.Context, id build.RecordID, what build.WaitFor) (noted bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE records SET waits_for = ? WHERE id = ? AND state = 'queued' AND waits_for <> ?`, string(what), string(id), string(what))
		noted = n > 0
		return err
	})
	return noted, err
}
