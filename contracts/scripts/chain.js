// An in-process chain for tests and measurements. It is called through JSON-RPC methods; viem
// encodes the calls.
import hre from "hardhat";
import {
  decodeErrorResult,
  decodeFunctionResult,
  encodeDeployData,
  encodeFunctionData,
  parseEventLogs,
} from "viem";

const GAS = 16_000_000; // below the cap on one transaction (EIP-7825)
const hex = (number) => `0x${number.toString(16)}`;

export class Reverted extends Error {
  constructor(name, args) {
    super(`${name}(${args.map(String).join(", ")})`);
    this.errorName = name;
    this.args = args;
  }
}

export class Chain {
  /** @param fixedTime blocks start at a fixed date, a second apart, so every run makes the same */
  static async start({ fixedTime = false } = {}) {
    const { provider } = await hre.network.create();
    const chain = await Chain.over(provider);
    if (fixedTime) chain.time = 2_000_000_000;
    return chain;
  }

  /** A chain behind any EIP-1193 provider with unlocked accounts. */
  static async over(provider) {
    return new Chain(provider, await provider.request({ method: "eth_accounts" }));
  }

  constructor(provider, accounts) {
    this.provider = provider;
    this.accounts = accounts;
  }

  request(method, params = []) {
    return this.provider.request({ method, params });
  }

  async mine(blocks) {
    for (let i = 0; i < blocks; ++i) {
      await this.#fixBlock();
      await this.request("evm_mine");
    }
  }

  async #fixBlock() {
    if (this.time === undefined) return;
    await this.request("evm_setNextBlockTimestamp", [hex(++this.time)]);
    await this.request("hardhat_setPrevRandao", [`0x${this.time.toString(16).padStart(64, "0")}`]);
  }

  async send(abi, transaction) {
    await this.#fixBlock();
    let hash;
    try {
      hash = await this.request("eth_sendTransaction", [
        { from: this.accounts[0], gas: hex(GAS), ...transaction },
      ]);
    } catch (error) {
      throw reverted(abi, error);
    }
    const receipt = await this.#receipt(hash);
    return { gas: Number(receipt.gasUsed), logs: receipt.logs, address: receipt.contractAddress };
  }

  /** Waits for the receipt of a transaction: even a node that mines at once takes a moment. */
  async #receipt(hash) {
    for (let attempt = 0; attempt < 400; ++attempt) {
      const receipt = await this.request("eth_getTransactionReceipt", [hash]);
      if (receipt !== null) return receipt;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`transaction ${hash} is not mined`);
  }

  async deploy(artifact, args = []) {
    const { abi, bytecode } = artifact;
    const { address, gas } = await this.send(abi, {
      data: encodeDeployData({ abi, bytecode, args }),
    });
    return new Contract(this, address, abi, gas);
  }

  /** Deploys a contract whose code is 0x00 and the bytes. */
  async deployData(bytes) {
    const data = bytes.slice(2);
    const length = (data.length / 2 + 1).toString(16).padStart(4, "0");
    return this.send([], { data: `0x61${length}80600a5f395ff300${data}` });
  }
}

export class Contract {
  constructor(chain, address, abi, gas) {
    Object.assign(this, { chain, address, abi, gas });
  }

  async call(functionName, args = [], from = this.chain.accounts[0]) {
    const { abi } = this;
    const transaction = {
      from,
      to: this.address,
      gas: hex(GAS),
      data: encodeFunctionData({ abi, functionName, args }),
    };
    let data;
    try {
      data = await this.chain.request("eth_call", [transaction, "latest"]);
    } catch (error) {
      throw reverted(abi, error);
    }
    return decodeFunctionResult({ abi, functionName, data });
  }

  /** Sends and returns {gas, logs, events}. */
  async send(functionName, args = [], from = this.chain.accounts[0]) {
    const data = encodeFunctionData({ abi: this.abi, functionName, args });
    const receipt = await this.chain.send(this.abi, { from, to: this.address, data });
    return { ...receipt, events: parseEventLogs({ abi: this.abi, logs: receipt.logs }) };
  }
}

function reverted(abi, error) {
  const data = findData(error);
  if (data === undefined || data === "0x") return error;
  try {
    const { errorName, args } = decodeErrorResult({ abi, data });
    return new Reverted(errorName, args ?? []);
  } catch {
    return error; // it is not one of this contract's errors
  }
}

function findData(error) {
  for (let e = error; e !== undefined && e !== null; e = e.cause ?? e.data) {
    if (typeof e === "string") return e;
    if (typeof e.data === "string") return e.data;
  }
  return undefined;
}

/**
 * Test contracts as Hardhat compiled them. The scripts of package.json compile them beforehand.
 * They are not compiled here, since two processes that compile at the same time break the cache.
 */
export async function artifacts(...names) {
  return Promise.all(names.map((name) => hre.artifacts.readArtifact(name)));
}
