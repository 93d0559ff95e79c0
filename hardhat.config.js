import { createRequire } from "node:module";
import { compilerSettings, compilerVersion } from "./contracts/scripts/compiler.js";
import testCompiler from "./contracts/scripts/test-compiler.js";

const require = createRequire(import.meta.url);

// The compiler is the one in node_modules, so nothing is downloaded.
export default {
  plugins: [testCompiler],
  solidity: {
    version: compilerVersion,
    path: require.resolve("solc/soljson.js"),
    settings: compilerSettings,
    splitTestsCompilation: true, // see test-compiler.js
  },
  networks: {
    // A fixed start and rule set: gas measurements then repeat to the unit.
    default: {
      type: "edr-simulated",
      chainType: "l1",
      hardfork: "osaka",
      initialDate: "2033-01-01T00:00:00Z",
    },
  },
  // Tests are the files that end in .t.sol. What they share lies beside them and is compiled as a
  // source.
  paths: { sources: "./contracts" },
  test: {
    solidity: {
      fuzz: { runs: 256, seed: "0x70726f76656e616e6365" },
      fsPermissions: { readDirectory: ["./tests/vectors"] },
    },
  },
};
