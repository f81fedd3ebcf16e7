// Package doctor looks at everything that a person would otherwise look at one
// by one when the pipeline does not do what it should, and says of each whether
// it is well, and if not, what to do.
//
// It changes nothing but the name of a file that it makes and removes again to
// see whether the data folder can be written.
package doctor
