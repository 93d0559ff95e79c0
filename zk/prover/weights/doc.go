// SPDX-License-Identifier: Apache-2.0

// Package weights commits to the tensors of a model: packs their values into pages, builds a
// tensor's tree while it streams from a file, opens blocks of it, and reads safetensors and GGUF
// files without loading them.
//
// Files are attacker-controlled. Counts, lengths and offsets are held against the file's size
// before anything is allocated for them, and every page opened is held against the tree, so a file
// that changed meanwhile is refused.
//
// Source: docs/formats/statements.md, "Weight trees".
package weights
