package verify

// checkReadable: the footer parses, the schema is the kind's, every page's
// checksum is right, every value decodes, and the counts agree.
var checkReadable = check{
	Name:    "readable",
	Promise: "every file parses to its last page",
	file: func(_ *file, failed error) string {
		if failed == nil {
			return ""
		}
		return failed.Error()
	},
}
