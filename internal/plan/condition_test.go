package plan

import "testing"

func TestCondition(t *testing.T) {
	t.Parallel()
	values := map[string]string{"a": "1", "yes": "true", "arch": "ARM", "b_2": "x y"}
	tests := []struct {
		condition string
		want      bool
		err       string
	}{
		{condition: "a == 1", want: true},
		{condition: "a == '1'", want: true},
		{condition: `"1"==a`, want: true},
		{condition: "a != 1"},
		{condition: "${arch} == 'ARM'", want: true},
		{condition: "arch == 'arm'"},
		{condition: "none == ''", want: true},
		{condition: "yes", want: true},
		{condition: "a"},
		{condition: "true", want: true},
		{condition: "!yes"},
		{condition: "!!yes", want: true},
		{condition: "a == 2 || yes == true && arch != X", want: true},
		{condition: "(a == 2 || yes) && arch == 'X86'"},
		{condition: "1.10 == 1.1"},
		{condition: "-1 == '-1'", want: true},
		{condition: "b_2 == 'x y'", want: true},
		{condition: "!(a==1)"},
		{condition: `'${arch}64' == "ARM64"`, want: true},
		{condition: "'${none}' == ''"},
		{condition: "", err: "the condition is not valid at character 1: a parameter, a text in quotes or a number is expected, found its end"},
		{condition: "a ==", err: "the condition is not valid at character 5: a parameter, a text in quotes or a number is expected, found its end"},
		{condition: "a = 1", err: `the condition is not valid at character 3: an operator, && or || is expected, found "= 1"`},
		{condition: "(a", err: "the condition is not valid at character 3: ) is expected, found its end"},
		{condition: "a == 'x", err: `the condition is not valid at character 6: a closing quote is expected, found "'x"`},
		{condition: "a & b", err: `the condition is not valid at character 3: an operator, && or || is expected, found "& b"`},
		{condition: "${} == 1", err: `the condition is not valid at character 1: a parameter, a text in quotes or a number is expected, found "${} == 1"`},
	}
	for _, tt := range tests {
		got, err := evaluate(tt.condition, func(name string) (string, bool) { value, ok := values[name]; return value, ok })
		message := ""
		if err != nil {
			message = err.Error()
		}
		if message != tt.err || err == nil && got != tt.want {
			t.Errorf("%q = %v, %v, want %v, %s", tt.condition, got, err, tt.want, tt.err)
		}
	}
}
