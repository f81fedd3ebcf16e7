package verify

import (
	"context"
	"fmt"
)

// checkNumbers: a part's number is the one behind the last, so a hole is a file
// that was there once. Rejects are published before their part, so rejects
// alone are what a killed run left; the next run completes them.
var checkNumbers = check{
	Name:    "numbers",
	Promise: "part numbers have no holes, and rejects stand beside the part of their number",
	set: func(_ context.Context, s *set, say sayer) error {
		parts := make(map[int]bool)
		if s.v.holes.isAccepted(s.name.Window, s.name.Kind) {
			parts[0] = true // gone for good
		}
		for _, f := range s.files {
			switch {
			case f.name.Rejects && !parts[f.name.Part]:
				v := s.violation("these rejects have no part of their number: the run was killed between the two, run the window again")
				v.File = f.path
				say(v)
			case f.name.Rejects:
			case f.name.Part > 0 && !parts[f.name.Part-1]:
				v := s.violation(fmt.Sprintf("there is no part %02d before it", f.name.Part-1))
				v.File = f.path
				say(v)
				parts[f.name.Part] = true
			default:
				parts[f.name.Part] = true
			}
		}
		return nil
	},
}
