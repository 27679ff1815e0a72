// Package storetest is the contract of the store, as tests. Every database must pass them.
package storetest

import (
	"testing"
	"time"

	"atelier/internal/store"
)

// Opener returns an open store with nothing in it, which is closed when the test ends.
type Opener func(t *testing.T) *store.Store

// Run checks the contract.
func Run(t *testing.T, open Opener) {
	t.Run("jobs", func(t *testing.T) { t.Parallel(); testJobs(t, open) })
	t.Run("favourites", func(t *testing.T) { t.Parallel(); testFavourites(t, open) })
	t.Run("several jobs are deleted together", func(t *testing.T) { t.Parallel(); testDeleteJobs(t, open) })
	t.Run("recycle bin", func(t *testing.T) { t.Parallel(); testBin(t, open) })
	t.Run("old builds", func(t *testing.T) { t.Parallel(); testRetention(t, open) })
	t.Run("versions", func(t *testing.T) { t.Parallel(); testVersions(t, open) })
	t.Run("groups", func(t *testing.T) { t.Parallel(); testGroups(t, open) })
	t.Run("records", func(t *testing.T) { t.Parallel(); testRecords(t, open) })
	t.Run("artifacts", func(t *testing.T) { t.Parallel(); testArtifacts(t, open) })
	t.Run("once", func(t *testing.T) { t.Parallel(); testOnce(t, open) })
	t.Run("waits", func(t *testing.T) { t.Parallel(); testWaits(t, open) })
	t.Run("queue", func(t *testing.T) { t.Parallel(); testQueue(t, open) })
	t.Run("flows", func(t *testing.T) { t.Parallel(); testFlows(t, open) })
	t.Run("rights", func(t *testing.T) { t.Parallel(); testRights(t, open) })
	t.Run("keystore", func(t *testing.T) { t.Parallel(); testKeystore(t, open) })
	t.Run("endpoints", func(t *testing.T) { t.Parallel(); testEndpoints(t, open) })
	t.Run("templates", func(t *testing.T) { t.Parallel(); testTemplates(t, open) })
	t.Run("scripts", func(t *testing.T) { t.Parallel(); testScripts(t, open) })
	t.Run("key check", func(t *testing.T) { t.Parallel(); testKeyCheck(t, open) })
	t.Run("reports", func(t *testing.T) { t.Parallel(); testReports(t, open) })
	t.Run("trends", func(t *testing.T) { t.Parallel(); testTrends(t, open) })
	t.Run("notices", func(t *testing.T) { t.Parallel(); testNotices(t, open) })
	t.Run("notices of projects", func(t *testing.T) { t.Parallel(); testProjectNotices(t, open) })
	t.Run("hooks", func(t *testing.T) { t.Parallel(); testHooks(t, open) })
	t.Run("iam", func(t *testing.T) { t.Parallel(); testIAM(t, open) })
}

// start is the moment at which the tests' clock begins.
var start = time.Date(2022, 9, 9, 6, 31, 50, 0, time.UTC)
