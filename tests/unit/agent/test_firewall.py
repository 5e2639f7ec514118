"""Rules speak of the agent's own bridges, and names of two agents never meet."""

from hypothesis import given
from hypothesis import strategies as st

from backendai.agent.firewall import make_chains
from backendai.agent.networks import NetworkNames


def test_kernels_reach_neither_the_node_nor_metadata_nor_the_control_plane() -> None:
    to_node, through, *_ = make_chains("bai12345", ["10.0.0.0/24"], "DOCKER-USER")
    assert (to_node.parent, through.parent) == ("INPUT", "DOCKER-USER")
    assert to_node.rules[-1] == ("-j", "DROP")
    assert "RETURN" in to_node.rules[0]
    assert ("-d", "169.254.0.0/16", "-j", "DROP") in through.rules
    assert ("-d", "10.0.0.0/24", "-j", "DROP") in through.rules
    assert all(chain.jump[:2] == ("-i", "bai12345+") for chain in (to_node, through))


def test_kernels_are_reached_neither_from_the_node_nor_through_it() -> None:
    *_, from_node, from_elsewhere = make_chains("bai12345", [], "FORWARD")
    assert from_node.jump == ("-o", "bai12345+", "-j", "bai12345-OUT")
    assert from_node.parent == "OUTPUT"
    # Kernels of one session speak with each other over a bridge of theirs.
    into = ("!", "-i", "bai12345+", "-o", "bai12345+")
    assert from_elsewhere.jump == (*into, "-j", "bai12345-INTO")
    assert from_elsewhere.parent == "FORWARD"
    for chain in (from_node, from_elsewhere):
        assert "RETURN" in chain.rules[0]
        assert chain.rules[1:] == (("-j", "DROP"),)


@given(st.text(min_size=1), st.text())
def test_interfaces_have_names_that_the_kernel_takes(agent_id: str, name: str) -> None:
    names = NetworkNames(agent_id)
    interface = names.interface_of(name)
    assert interface.startswith(names.interface_prefix)
    assert len(interface.encode()) <= 15
    assert len(f"{names.interface_prefix}-FWD") <= 28


def test_two_agents_share_no_name() -> None:
    one, other = NetworkNames("i-1"), NetworkNames("i-2")
    assert one.common != other.common
    assert one.interface_prefix != other.interface_prefix
