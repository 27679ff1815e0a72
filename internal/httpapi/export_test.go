package httpapi

// Operation is a row of the table of operations.
type Operation struct {
	ID, Method, Path, State, Summary string
}

// Operations returns the table.
func Operations() []Operation {
	return list((&API{}).operations(), func(o operation) Operation {
		return Operation{o.id, o.method, o.path, string(o.state), o.summary}
	})
}
