package httpapi

import (
	"errors"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// DecodeTask reads a build task as it stands in a file: the body of CreateNewJob, or the answer of ShowJobConfig, which has the same
// in its result. An error is an invalid fault that names the key.
func DecodeTask(data []byte) (build.Config, error) {
	var answer struct {
		Result *jobBody `json:"result"`
	}
	err := decodeBody(data, &answer)
	task := answer.Result
	if err == nil && task == nil {
		task = new(jobBody)
		err = decodeBody(data, task)
	}
	if err == nil {
		err = task.checkTriggers()
	}
	if e, ok := errors.AsType[*apiError](err); ok {
		return build.Config{}, fault.New(fault.Invalid, "%s", e.Message)
	}
	if err != nil {
		return build.Config{}, err
	}
	if !task.given["steps"] {
		return build.Config{}, fault.Field("steps", "is missing")
	}
	return task.config(build.Config{}), nil
}
