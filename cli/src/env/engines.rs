//! The settings of each engine.

use clap::ValueEnum;

use super::addresses::Addresses;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Engine {
    /// NCCL and programs that use it.
    Nccl,
    /// Gloo, as used by PyTorch.
    #[value(alias = "pytorch")]
    Gloo,
    /// UCX.
    Ucx,
    /// Open MPI.
    #[value(alias = "openmpi")]
    Mpi,
    /// Ray.
    Ray,
    /// llama.cpp's RPC backend.
    #[value(name = "llama.cpp", alias = "llama")]
    LlamaCpp,
    /// libp2p.
    Libp2p,
}

impl Engine {
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    pub fn lines(self, at: &Addresses) -> Vec<String> {
        let name = &at.interface;
        match self {
            Self::Nccl => vec![
                "# NCCL: docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html".into(),
                "# `=` selects exactly this interface; without it, every interface with this prefix.".into(),
                format!("export NCCL_SOCKET_IFNAME=={name}"),
                "# By default it may select the link-local address, which the peer may be unable to reach.".into(),
                "export NCCL_SOCKET_FAMILY=AF_INET".into(),
                "# Use sockets even if there is InfiniBand or RoCE.".into(),
                "export NCCL_NET=Socket".into(),
                "export NCCL_IB_DISABLE=1".into(),
                "# Several sockets for each connection; the product must not exceed 64.".into(),
                "export NCCL_SOCKET_NTHREADS=2".into(),
                "export NCCL_NSOCKS_PERTHREAD=2".into(),
            ],
            Self::Gloo => vec![
                "# Gloo and PyTorch: docs.pytorch.org/docs/stable/distributed.html".into(),
                "# Gloo binds to the first usable address of the interface; link-local addresses need a zone,".into(),
                "# which MASTER_ADDR cannot contain.".into(),
                format!("export GLOO_SOCKET_IFNAME={name}"),
                format!("export MASTER_ADDR={}", at.main()),
                "export MASTER_PORT=29500".into(),
                format!("# torchrun --nnodes=2 --node-rank={} --master-addr={} --master-port=29500 …", at.rank(), at.main()),
            ],
            Self::Ucx => vec![
                "# UCX: openucx.readthedocs.io/en/master/faq.html; `ucx_info -f` lists the supported settings".into(),
                format!("export UCX_NET_DEVICES={name}"),
                "# TCP between the hosts, shared memory within each. With GPUs: tcp,self,sm,cuda_copy,cuda_ipc.".into(),
                "export UCX_TLS=tcp,self,sm".into(),
                "# Prefer the address without a zone.".into(),
                "export UCX_TCP_AF_PRIO=inet,inet6".into(),
            ],
            Self::Mpi => vec![
                "# Open MPI: docs.open-mpi.org/en/v5.0.x/tuning-apps/networking/tcp.html".into(),
                "# It supports IPv6 only if built with --enable-ipv6, and had problems with link-local addresses (ompi #591, #605).".into(),
                "export OMPI_MCA_pml=ob1".into(),
                "# Up to version 4.1, the shared memory component is vader instead of sm.".into(),
                "export OMPI_MCA_btl=tcp,self,sm".into(),
                format!("export OMPI_MCA_btl_tcp_if_include={name}"),
                format!("# mpirun --host {},{} … (mpirun's own connections use the addresses of --host)", at.own(), at.peer()),
            ],
            Self::Ray => vec![
                "# Ray: docs.ray.io/en/latest/cluster/cli.html. Ray takes an address, not an interface.".into(),
                match at.rank() {
                    "1" => format!("# ray start --address={}:6379 --node-ip-address={}", at.main(), at.own()),
                    _ => format!("# ray start --head --node-ip-address={} --port=6379", at.own()),
                },
                "# Its HOST:PORT does not accept the zone of a link-local address.".into(),
                "# Programs on Ray have their own network settings: see nccl and gloo.".into(),
            ],
            Self::LlamaCpp => vec![
                "# llama.cpp: github.com/ggml-org/llama.cpp/blob/master/tools/rpc/README.md".into(),
                "# Its RPC uses IPv4 (IPv6: pull request 22350) without authentication: listen on this address, not on 0.0.0.0.".into(),
                format!("# here:  rpc-server -H {} -p 50052", at.own()),
                format!("# there: llama-cli --rpc {}:50052 …", at.own()),
            ],
            Self::Libp2p => {
                let link = match at.peer_link {
                    Some(address) => format!("/ip6zone/{name}/ip6/{address}/tcp/4001"),
                    None => format!("/ip6zone/{name}/ip6/fe80::…/tcp/4001"),
                };
                vec![
                    "# libp2p: github.com/multiformats/multiaddr, protocol ip6zone. Not every implementation supports it (Go's does).".into(),
                    format!("# dial:   {link}"),
                    format!("# or:     /ip4/{}/tcp/4001", at.peer()),
                    format!("# listen: /ip4/{}/tcp/4001", at.own()),
                ]
            }
        }
    }
}
