// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// Pays the chain's own coin onwards in the ways in which contracts do.
contract Payer {
    /// Whom a plain payment is passed on to, as forwarders do; nothing of it is in the transaction's input.
    address payable public parent;

    function setParent(address payable to) external {
        parent = to;
    }

    receive() external payable {
        if (parent != address(0)) pay(parent, msg.value);
    }

    /// Each its value, all or nothing.
    function batch(address payable[] calldata to, uint256[] calldata values) external payable {
        for (uint256 i = 0; i < to.length; i++) pay(to[i], values[i]);
    }

    /// The same without a gap: 20 bytes of address, 32 of value, and the next.
    function packed(bytes calldata payments) external payable {
        for (uint256 at = 0; at < payments.length; at += 52) {
            pay(payable(address(bytes20(payments[at:at + 20]))), uint256(bytes32(payments[at + 20:at + 52])));
        }
    }

    /// Pays in a call that is undone, and carries on.
    function undone(address payable to, uint256 value) external payable {
        try this.payAndFail(to, value) {} catch {}
    }

    function payAndFail(address payable to, uint256 value) external payable {
        pay(to, value);
        revert("undone");
    }

    /// Runs `batch` as borrowed code, which makes a call that carries the value without moving it.
    function borrowed(address payable[] calldata to, uint256[] calldata values) external payable {
        (bool done,) = address(this).delegatecall(abi.encodeCall(this.batch, (to, values)));
        require(done);
    }

    /// Leaves everything to `to` by a contract that is created with it and destroys itself.
    function bequeath(address payable to) external payable {
        new Testator{value: msg.value}(to);
    }

    function pay(address payable to, uint256 value) private {
        (bool done,) = to.call{value: value}("");
        require(done, "not paid");
    }
}

contract Testator {
    constructor(address payable to) payable {
        assembly {
            selfdestruct(to)
        }
    }
}
