package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"atelier/internal/build"
)

// Lease gives the oldest queued build that the claim's engine can run, and that the limits allow to run now; false when there is
// none.
func (s *Store) Lease(ctx context.Context, c build.Claim) (build.Taken, bool, error) {
	where := "need_arch IN ('', ?) AND need_class IN (''" + strings.Repeat(", ?", len(c.Offer.Classes)) + ")"
	args := append([]any{c.Offer.Arch}, anys(c.Offer.Classes)...)
	if c.Limits.Task > 0 {
		where += ` AND job_id NOT IN (SELECT job_id FROM records WHERE ` + active + ` GROUP BY job_id HAVING count(*) >= ?)`
		args = append(args, c.Limits.Task)
	}
	if c.Limits.Tenant > 0 {
		where += ` AND job_id NOT IN (SELECT id FROM jobs WHERE domain_id IN (
			SELECT jobs.domain_id` + recordFrom + ` WHERE ` + active + ` GROUP BY jobs.domain_id HAVING count(*) >= ?))`
		args = append(args, c.Limits.Tenant)
	}
	limited := c.Limits != (build.Limits{})
	return s.lease(ctx, build.Lease{Owner: c.Offer.Owner, Until: c.Until}, c.Now, limited, where, args...)
}

// active is what holds for the builds that engines have, and that take a slot.
const active = "records.state IN ('scheduled', 'running') AND NOT records.flow"

// LeaseOverdue gives the oldest build that was queued before the given moment to owner; false when there is none.
func (s *Store) LeaseOverdue(ctx context.Context, owner string, queuedBefore, now, until time.Time) (build.Lease, bool, error) {
	taken, ok, err := s.lease(ctx, build.Lease{Owner: owner, Until: until}, now, false, "queued_at < ?", millis(queuedBefore))
	return taken.Lease, ok, err
}

// lease takes the oldest queued build of those that a condition selects. Where the condition counts what runs, nobody else may
// take a build at the same time. What the owner does under the lease is stored durably, and the lease with it.
func (s *Store) lease(ctx context.Context, lease build.Lease, now time.Time, counts bool, where string, args ...any) (build.Taken, bool, error) {
	taken := build.Taken{Lease: lease}
	var config, editorID, editorName sql.NullString
	err := s.writeOrdered(ctx, func(t *tx) error {
		if lock := s.dialect.lockLeases(); counts && lock != "" {
			if _, err := t.exec(ctx, lock); err != nil {
				return err
			}
		}
		var id string
		err := t.row(ctx, `UPDATE records SET state = 'scheduled', started_at = ?, lease_owner = ?, lease_until = ?, lease_fence = lease_fence + 1
			WHERE state = 'queued' AND id = (SELECT id FROM records WHERE state = 'queued' AND `+where+` ORDER BY queued_at, id LIMIT 1`+s.dialect.skipLocked()+`)
			RETURNING id, lease_fence`, append([]any{millis(now), lease.Owner, millis(lease.Until)}, args...)...).Scan(&id, &taken.Fence)
		if err != nil {
			return err
		}
		// The job may have been deleted since: its builds still reach a final state, so there is no look at that here.
		var r recordRow
		err = t.row(ctx, `SELECT `+recordColumns+`, job_versions.config, job_versions.user_id, job_versions.user_name, EXISTS (SELECT 1 FROM records WHERE state = 'queued')`+recordFrom+`
			LEFT JOIN job_versions ON job_versions.job_id = records.job_id AND job_versions.version = records.job_version WHERE records.id = ?`, id).
			Scan(append(r.dest(), &config, &editorID, &editorName, &taken.More)...)
		if err != nil {
			return err
		}
		taken.Record, taken.Job, err = r.value()
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return build.Taken{}, false, nil
	}
	if err != nil {
		return build.Taken{}, false, err
	}
	taken.Editor = build.Actor{UserID: editorID.String, UserName: editorName.String, DomainID: taken.Record.DomainID}
	if taken.ConfigErr = errNoVersion; config.Valid {
		taken.Config, taken.ConfigErr = decodeConfig(config.String)
	}
	return taken, true, nil
}

// errNoVersion says that a database has a build without what it is to do. It must not keep the builds behind that one from being taken.
var errNoVersion = errors.New("the version of the task that the build was started with is not there")

// Renew extends every lease of owner, and returns what it holds. A renewal that is committed late, after its caller has given it up
// and another one has succeeded, shortens no lease.
func (s *Store) Renew(ctx context.Context, owner string, until time.Time) ([]build.Held, error) {
	var held []build.Held
	err := s.writeLeases(ctx, func(t *tx) error {
		rows, err := t.rows(ctx, `UPDATE records SET lease_until = CASE WHEN lease_until < ? THEN ? ELSE lease_until END
			WHERE lease_owner = ? AND state IN ('scheduled', 'running') RETURNING id, lease_fence, stop_requested_at`, millis(until), millis(until), owner)
		if err != nil {
			return err
		}
		held, err = collect(rows, func(row scanner) (h build.Held, err error) {
			var stop int64
			err = row.Scan(&h.ID, &h.Fence, &stop)
			h.StopRequested = stop > 0
			return h, err
		})
		return err
	})
	return held, err
}

// Lost returns the builds that may have been lost: those that owner holds, which knows what it runs, and those whose lease has
// run out.
func (s *Store) Lost(ctx context.Context, owner string, now time.Time) ([]build.Lease, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+recordColumns+`, records.lease_owner, records.lease_fence, records.lease_until`+recordFrom+`
		WHERE records.state IN ('scheduled', 'running') AND (records.lease_until < ? OR records.lease_owner = ?)
		ORDER BY records.queued_at`, millis(now), owner)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (build.Lease, error) {
		var r recordRow
		var lease build.Lease
		var until int64
		if err := row.Scan(append(r.dest(), &lease.Owner, &lease.Fence, &until)...); err != nil {
			return lease, err
		}
		var err error
		lease.Record, _, err = r.value()
		lease.Until = moment(until)
		return lease, err
	})
}

// Seize gives a lost build to owner, under a new fence. The error is [build.ErrLeaseLost] when it is no more as it was found:
// somebody else has seized it, or another owner is back and has renewed the lease.
func (s *Store) Seize(ctx context.Context, lease build.Lease, owner string, until time.Time) (build.Lease, error) {
	err := s.write(ctx, func(t *tx) error {
		return fenced(t.exec(ctx, `UPDATE records SET lease_owner = ?, lease_until = ?, lease_fence = lease_fence + 1
			WHERE id = ? AND lease_fence = ? AND (lease_until = ? OR lease_owner = ?) AND state IN ('scheduled', 'running')`,
			owner, millis(until), string(lease.Record.ID), lease.Fence, millis(lease.Until), owner))
	})
	if err != nil {
		return build.Lease{}, err
	}
	lease.Owner, lease.Until, lease.Fence = owner, until, lease.Fence+1
	return lease, nil
}

// Requeue puts a leased build whose first step has not begun back into the queue, for an engine that has what it needs. It may be
// called again until the build is leased again.
func (s *Store) Requeue(ctx context.Context, lease build.Lease, needs build.Needs) error {
	return s.write(ctx, func(t *tx) error {
		return fenced(t.exec(ctx, `UPDATE records SET state = 'queued', started_at = 0, lease_owner = '', lease_until = 0, need_arch = ?, need_class = ?
			WHERE id = ? AND lease_fence = ? AND state IN ('scheduled', 'queued')`, needs.Arch, needs.Class, string(lease.Record.ID), lease.Fence))
	})
}

// Report stores what the owner of a lease says of the build. It may say it again, also that the build has ended.
func (s *Store) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	err := s.write(ctx, func(t *tx) error { return storeProgress(ctx, t, id, fence, p) })
	if errors.Is(err, build.ErrLeaseLost) && p.End != nil {
		if ended, lookUp := s.hasEnded(ctx, id, fence, *p.End); ended || lookUp != nil {
			return lookUp
		}
	}
	return err
}

// storeProgress stores what the owner of a lease says of the build, once.
func storeProgress(ctx context.Context, t *tx, id build.RecordID, fence int64, p build.Progress) error {
	if p.Source != nil {
		if err := fenced(t.exec(ctx, `UPDATE records SET branch = ?, commit_id = ?, commit_message = ?, commit_time = ?, build_file = ?
			WHERE id = ? AND lease_fence = ? AND state IN ('scheduled', 'running')`,
			p.Source.Branch, p.Source.Commit, p.Source.Message, millis(p.Source.Time), p.Source.BuildFile, string(id), fence)); err != nil {
			return err
		}
	}
	if p.Waits != "" {
		if err := fenced(t.exec(ctx, `UPDATE records SET waits_for = ? WHERE id = ? AND lease_fence = ? AND state = 'scheduled'`,
			string(p.Waits), string(id), fence)); err != nil {
			return err
		}
	}
	if p.Begin != nil {
		if err := fenced(t.exec(ctx, `UPDATE records SET state = 'running', runnable_at = ?, private_pool = ?
			WHERE id = ? AND lease_fence = ? AND state IN ('scheduled', 'running')`, millis(p.Begin.At), p.Begin.PrivatePool, string(id), fence)); err != nil {
			return err
		}
		if err := saveScript(ctx, t, id, p.Begin.Script); err != nil {
			return err
		}
	}
	if len(p.Flow) > 0 {
		if err := saveFlow(ctx, t, id, p.Flow); err != nil {
			return err
		}
	}
	if len(p.Steps)+len(p.Reports)+len(p.Outputs) > 0 && p.Source == nil && p.Begin == nil && p.End == nil {
		// Nothing above has checked the fence, and nothing below will.
		if err := fenced(t.exec(ctx, `UPDATE records SET lease_fence = lease_fence WHERE id = ? AND lease_fence = ? AND state IN ('scheduled', 'running')`,
			string(id), fence)); err != nil {
			return err
		}
	}
	for _, step := range p.Steps {
		if err := saveStep(ctx, t, step); err != nil {
			return err
		}
	}
	for _, output := range p.Outputs {
		if err := saveOutput(ctx, t, id, output); err != nil {
			return err
		}
	}
	for _, report := range p.Reports {
		if err := saveReport(ctx, t, report); err != nil {
			return err
		}
	}
	if p.End != nil {
		if err := end(ctx, t, id, fence, *p.End); err != nil {
			return err
		}
		return tellOfBuild(ctx, t, id, *p.End)
	}
	return nil
}

// hasEnded reports whether the owner of a lease has said before that the build ended like this.
func (s *Store) hasEnded(ctx context.Context, id build.RecordID, fence int64, e build.End) (bool, error) {
	var n int
	err := s.reader.row(ctx, `SELECT count(*) FROM records WHERE id = ? AND lease_fence = ? AND state = ? AND finished_at = ?`,
		string(id), fence, string(e.State), millis(e.At)).Scan(&n)
	return n > 0, err
}

// end moves a build to its final state. One that could not begin has never been started, and has no id of a run.
func end(ctx context.Context, t *tx, id build.RecordID, fence int64, e build.End) error {
	from, also := "'scheduled', 'running'", ""
	switch e.State {
	case build.Unschedulable:
		from, also = "'scheduled'", ", started_at = 0, execution_id = '-1'"
	case build.Succeeded, build.Failed, build.TimedOut:
		from = "'running'"
	}
	return fenced(t.exec(ctx, `UPDATE records SET state = ?, error = ?, finished_at = ?, logged = ?, lease_owner = '', lease_until = 0`+also+`
		WHERE id = ? AND lease_fence = ? AND state IN (`+from+`)`, string(e.State), e.Error, millis(e.At), e.Logged, string(id), fence))
}

// fenced turns "no row changed" into the news that the lease is lost.
func fenced(n int64, err error) error {
	if err == nil && n == 0 {
		return build.ErrLeaseLost
	}
	return err
}
