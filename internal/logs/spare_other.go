//go:build !linux

package logs

var giveName = linkName
