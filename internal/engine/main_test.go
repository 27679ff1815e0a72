package engine_test

import (
	"testing"

	"go.uber.org/goleak"

	"atelier/internal/store/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withPostgreSQL{m}) }

// withPostgreSQL are the tests, and the end of the database server that some of them start.
type withPostgreSQL struct{ *testing.M }

func (m withPostgreSQL) Run() int { return postgrestest.Run(m.M) }
