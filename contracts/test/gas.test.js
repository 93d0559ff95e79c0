// What transactions cost is part of the interface: a change shows up here, and npm run gas accepts
// it.
import assert from "node:assert/strict";
import { it } from "node:test";
import { measure, readSnapshot } from "../scripts/gas.js";

it("costs what the snapshot says", async () => {
  assert.deepEqual(await measure(), readSnapshot());
});
