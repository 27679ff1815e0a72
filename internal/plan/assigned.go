package plan

import "mvdan.cc/sh/v3/syntax"

// findAssigned finds the variables that the script gives values: they are its own from there on.
func (c *commandReader) findAssigned(file *syntax.File) {
	if file == nil {
		return
	}
	c.assigned = make(map[string][]span)
	c.walk(file, func(node syntax.Node) {
		switch n := node.(type) {
		case *syntax.Assign:
			c.assignment(n)
		case *syntax.WordIter:
			c.assign(n.Name.Value, n.Name.End())
		case *syntax.BinaryArithm:
			if name, ok := n.X.(*syntax.Word); ok && n.Op >= syntax.AddAssgn && n.Op <= syntax.PowAssgn || n.Op == syntax.Assgn && ok {
				c.assign(name.Lit(), n.End())
			}
		case *syntax.UnaryArithm:
			if name, ok := n.X.(*syntax.Word); ok && (n.Op == syntax.Inc || n.Op == syntax.Dec) {
				c.assign(name.Lit(), n.End())
			}
		case *syntax.CallExpr:
			c.assignedBy(n)
		}
	})
}

// assignment notes name=value, unless the value is the parameter's own.
func (c *commandReader) assignment(a *syntax.Assign) {
	if a.Name == nil {
		return
	}
	name := a.Name.Value
	if call, ok := c.parent().(*syntax.CallExpr); ok && len(call.Args) > 0 {
		return // for that program only
	}
	if d, ok := c.parent().(*syntax.DeclClause); a.Naked && (!ok || d.Variant.Value == "export" || d.Variant.Value == "readonly") {
		return
	}
	if a.Value != nil && !a.Append {
		own := "${" + name + "}"
		switch c.text[a.Value.Pos().Offset():a.Value.End().Offset()] {
		case own, "'" + own + "'", `"` + own + `"`, "$" + name, `"$` + name + `"`:
			return
		}
	}
	c.assign(name, a.End())
}

// assignedBy notes what built-in commands give values.
func (c *commandReader) assignedBy(call *syntax.CallExpr) {
	w := wordsOf(call)
	switch w.at(0) {
	case "read", "mapfile", "readarray", "getopts", "unset":
	case "printf":
		if w.at(1) != "-v" {
			return
		}
		w = w[:min(3, len(w))]
	default:
		return
	}
	for _, word := range w[1:] {
		c.assign(word, call.End())
	}
}

// assign notes that a variable is the script's own from a place on, to the end of the process or function that it is set in.
func (c *commandReader) assign(name string, from syntax.Pos) {
	if !c.known(name) {
		return
	}
	if len(c.assigned[name]) == 0 {
		c.advise(from, "%s is a parameter, and the script gives it a value: from there on ${%s} is the script's own", name, name)
	}
	c.assigned[name] = append(c.assigned[name], span{from.Offset(), c.processEnd()})
}

// processEnd returns where the process or function ends that the visited node is in.
func (c *commandReader) processEnd() uint {
	local := false
	for i := len(c.stack) - 1; i > 0; i-- {
		switch n := c.stack[i].(type) {
		case *syntax.Subshell, *syntax.CmdSubst, *syntax.ProcSubst:
			return n.End().Offset()
		case *syntax.DeclClause:
			local = n.Variant.Value != "export" && n.Variant.Value != "readonly"
		case *syntax.FuncDecl:
			if local {
				return n.End().Offset()
			}
		case *syntax.Stmt:
			if pipe, ok := c.stack[i-1].(*syntax.BinaryCmd); n.Background || ok && (pipe.Op == syntax.Pipe || pipe.Op == syntax.PipeAll) {
				return n.End().Offset()
			}
		}
	}
	return uint(len(c.text)) + 1
}
