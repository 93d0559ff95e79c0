// SPDX-License-Identifier: Apache-2.0

// Package weights commits to the tensors of a model. It reads safetensors and GGUF files without
// loading them, packs values into pages, builds a tensor's tree while it streams from the file, and
// opens blocks of the tree.
//
// Files are attacker-controlled. Counts, lengths and offsets are compared with the file's size
// before anything is allocated for them. Every opened page is compared with the tree, so a file
// that changed meanwhile is refused.
//
// Source: docs/formats/statements.md, "Weight trees".
package weights
