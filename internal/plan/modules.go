package plan

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"atelier/internal/fault"
)

// Modules are the keywords of module ids that the operator has learnt, beside those that are known by themselves. Nil is none.
type Modules map[string]string

var vendorModule = regexp.MustCompile(`^devcloud2018\.codeci_action_[0-9]+\.action$`)

// ParseModules reads pairs of the form ID=KEYWORD. The error is a fault.Invalid one, and names all that are wrong.
func ParseModules(pairs []string) (Modules, error) {
	modules := make(Modules)
	var errs []error
	for _, pair := range pairs {
		id, keyword, _ := strings.Cut(pair, "=")
		known, taken := Modules(nil).action(id)
		act, ok := actionOf(keyword)
		switch {
		case !vendorModule.MatchString(id):
			errs = append(errs, fault.New(fault.Invalid, "must be ID=KEYWORD such as devcloud2018.codeci_action_20099.action=gradle, found %s", shown(pair)))
		case taken && known.keyword != keyword:
			errs = append(errs, fault.New(fault.Invalid, "%s stands for %s already", id, known.keyword))
		case modules[id] != "" && modules[id] != keyword:
			errs = append(errs, fault.New(fault.Invalid, "%s stands for both %s and %s", id, modules[id], keyword))
		case !ok || act.nested || keyword == "checkout" || keyword == "manifest_checkout":
			errs = append(errs, fault.New(fault.Invalid, "%s: must be one of %s, found %s", id, strings.Join(slices.Sorted(slices.Values(taskKeywords())), ", "), shown(keyword)))
		default:
			modules[id] = keyword
		}
	}
	return modules, errors.Join(errs...)
}

// taskKeywords returns those that the steps of tasks may stand for.
func taskKeywords() []string {
	return slices.DeleteFunc(keywords(), func(word string) bool {
		act, _ := actionOf(word)
		return act.nested || word == "checkout" || word == "manifest_checkout"
	})
}

// action returns the action of a module id: the vendor's, the operator's, Atelier's own, or the bare keyword.
func (m Modules) action(id string) (action, bool) {
	if keyword, ok := m[id]; ok {
		return actionOf(keyword)
	}
	name := strings.TrimSuffix(id, ".action")
	number, vendors := strings.CutPrefix(name, "devcloud2018.codeci_action_")
	keyword := strings.TrimPrefix(name, "local.codeci_action_")
	for _, a := range actions {
		if vendors && a.module == number && number != "" || a.keyword == keyword {
			return a, true
		}
	}
	return action{}, false
}
