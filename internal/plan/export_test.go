package plan

import "slices"

// Vocabulary returns every keyword, and every input as KEYWORD.INPUT or KEYWORD.INPUT.KEY. Those that many keywords share stand there once,
// without a keyword.
func Vocabulary() (words []string) {
	shared := []string{command.name, cacheSwitch.name, unitTest.name, ignoreFail}
	words = append(words, shared...)
	for _, in := range unitTest.fields {
		words = append(words, unitTest.name+"."+in.name)
	}
	for _, act := range actions {
		words = append(words, act.keyword)
		for _, in := range act.inputs {
			if slices.Contains(shared, in.name) {
				continue
			}
			words = append(words, act.keyword+"."+in.name)
			for _, field := range in.fields {
				words = append(words, act.keyword+"."+in.name+"."+field.name)
			}
		}
	}
	return words
}
