package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// Isolation says what steps are kept from. The zero value trusts them with everything that the server's user may do.
type Isolation struct {
	// Want is how much of what follows has to be there.
	Want Want

	// Private are files and directories that no step may see, absolute. The executor's own directory need not be among them, nor the
	// home of the server's user.
	Private []string

	// Show are more files and directories that steps can read, absolute. None of them may be private.
	Show []string

	// Users are whom steps run as when the server is root.
	Users Users

	// Builds is how many builds run at a time; 0 when that is not known.
	Builds int
}

// Want says what happens when this machine cannot isolate steps.
type Want string

// The wishes of operators.
const (
	Off     Want = "off"     // run steps as the server's user, with all that it may do; the default
	Try     Want = "try"     // run steps in sandboxes, and where there are none as with Off; [Executor.Gaps] says so
	Auto    Want = "auto"    // run steps in sandboxes, or refuse; [Executor.Gaps] says which limits and second walls there are not
	Require Want = "require" // refuse also then
)

// trialTime is how long a machine has to show that it can isolate a step.
const trialTime = 10 * time.Second

// isolate finds out, by trying, what this machine can do of what is wanted. It is called before any build.
func (e *Executor) isolate(want Isolation) error {
	if want.Want == "" || want.Want == Off {
		return nil
	}
	if err := e.trySandbox(want); err != nil {
		err = errors.Join(err, e.closePools())
		e.bubblewrap, e.users = nil, nil
		if want.Want != Try {
			return fault.New(fault.Invalid, "--sandbox %s: builds cannot be kept from what is not theirs: %v. Or run them in containers (--executor container), or give --sandbox off, which runs them as the server's user, with all that it may do", want.Want, err)
		}
		e.gaps = append(e.gaps, fmt.Sprintf("steps run as the server's user, with all that it may do: %v", err))
		return nil
	}
	if gap := landlockGap(); gap != "" {
		e.gaps = append(e.gaps, gap)
	}
	if err := e.tryGroups(); err != nil {
		e.gaps = append(e.gaps, fmt.Sprintf("builds have no limits of memory and processors: %v", err))
	}
	if want.Want == Require && len(e.gaps) > 0 {
		return fault.New(fault.Invalid, "--sandbox require: %s", strings.Join(e.gaps, "; "))
	}
	return nil
}

// trySandbox has steps run in sandboxes, as users of their own where the server is root.
func (e *Executor) trySandbox(want Isolation) (err error) {
	users := Users{First: os.Geteuid(), Last: os.Geteuid(), Group: os.Getegid()}
	if os.Geteuid() == 0 {
		if users = want.Users; users.First <= 0 {
			return errors.New("--build-users: there is nobody whom they could run as instead of root")
		}
		if users.Count() < want.Builds {
			return fault.Field("--build-users", "are %d, and %d builds run at a time (--slots): each needs one of its own", users.Count(), want.Builds)
		}
		e.users = newUserPool(users)
	}
	if e.bubblewrap, err = e.newBubblewrap(want, users); err != nil {
		return err
	}
	if err := e.trial(); err != nil {
		return fmt.Errorf("%w; let users make namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0), "+
			"or run the server as root with CAP_SYS_ADMIN", err)
	}
	return nil
}

// newBubblewrap finds bubblewrap, and checks what sandboxes are to show.
func (e *Executor) newBubblewrap(want Isolation, users Users) (*bubblewrap, error) {
	b := &bubblewrap{program: e.find("bwrap"), root: os.Geteuid() == 0}
	if b.program == "" {
		return nil, errors.New("the program bwrap is not installed; install the package bubblewrap, 0.8 or later")
	}
	if err := checkNamed(want.Show); err != nil {
		return nil, err
	}
	b.view = newView(append(slices.Clone(want.Private), e.dir), want.Show, e.path)
	b.settings = &settingsDir{parent: e.dir, hidden: b.view.hidden(), discard: e.discard}
	b.settings.users, b.settings.groups = listOfUsers(users, e.shell)
	if _, err := b.arguments(e.dir, e.dir); err != nil {
		return nil, errors.Join(err, b.settings.drop())
	}
	return b, nil
}

// tryGroups limits builds by control groups.
func (e *Executor) tryGroups() (err error) {
	if e.groups, err = newGroups(e.dir); err == nil {
		err = e.trial()
	}
	if err != nil {
		e.groups = nil
	}
	return err
}

// trial runs a build with a step that does nothing but to use its workspace.
func (e *Executor) trial() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), trialTime)
	defer cancel()
	defer func() { err = errors.Join(err, e.closePools()) }()
	s, err := e.Open(ctx, executor.Build{Record: "trial-" + uuid.NewString()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(context.Background())) }()
	var out strings.Builder
	result, err := s.Run(ctx, plan.Step{Script: &plan.Script{Command: `cd "$WORKSPACE"; : > file`}}, &out)
	if err == nil && !result.Succeeded() {
		err = fmt.Errorf("exit status %d: %s", result.ExitCode, strings.TrimSpace(out.String()))
	}
	return err
}

// HasUsers reports whether steps run as users of their own.
func (e *Executor) HasUsers() bool { return e.users != nil }

// Gaps says, in sentences for the operator, what steps are not kept from though it was asked for.
func (e *Executor) Gaps() []string { return e.gaps }
