package plan_test

import (
	"strings"
	"testing"

	"atelier/internal/plan"
)

func TestModules(t *testing.T) {
	t.Parallel()
	const id = "devcloud2018.codeci_action_20099.action"
	modules, err := plan.ParseModules([]string{id + "=gradle", id + "=gradle", "devcloud2018.codeci_action_20017.action=sh"})
	if err != nil || modules[id] != "gradle" || len(modules) != 2 {
		t.Error(modules, err)
	}
	_, err = plan.ParseModules([]string{
		"20099=gradle", "local.codeci_action_gradle.action=gradle", id, id + "=none", id + "=checkout", "devcloud2018.codeci_action_20017.action=go",
		"devcloud2018.codeci_action_20098.action=go", "devcloud2018.codeci_action_20098.action=npm",
	})
	for _, want := range []string{
		`must be ID=KEYWORD such as devcloud2018.codeci_action_20099.action=gradle, found "20099=gradle"`, `found "local.codeci_action_gradle.action=gradle"`,
		id + `: must be one of android, android_sign, ant, `, `found ""`, `found "none"`, `found "checkout"`,
		"devcloud2018.codeci_action_20017.action stands for sh already", "devcloud2018.codeci_action_20098.action stands for both go and npm",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
